// Small JSON documents as a tree: the settings of a tokenizer. Every access checks the type, and the message of a
// failure names the place in the document.
#ifndef NIB_MODEL_TOKENIZER_JSON_TREE_H
#define NIB_MODEL_TOKENIZER_JSON_TREE_H

#include "model/archive/json_scanner.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::model {

struct JsonMember;

struct JsonTree {
  enum class Kind : uint8_t { kNull, kBool, kNumber, kString, kList, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  double number = 0;
  std::string text;
  std::vector<JsonTree> list;
  std::vector<JsonMember> object;
};

struct JsonMember {
  JsonMember(std::string name, JsonTree value) : first(std::move(name)), second(std::move(value)) {}
  std::string first;
  JsonTree second;
};

// Reads the value at the scanner's position, whose text begins at `text`. Throws; also for a key that appears twice.
JsonTree readJsonTree(JsonScanner& scanner, const char* text);

// Reads a number, which begins at the scanner's position. Throws; also if it is not finite.
double readJsonNumber(JsonScanner& scanner, const char* text);

// A value of a tree and its place, "/models/a/tokenizer.json: decoder.decoders[1]". The tree must outlive it.
class JsonNode {
 public:
  JsonNode(const JsonTree& tree, std::string place) : tree_(&tree), place_(std::move(place)) {}

  [[noreturn]] void fail(const std::string& problem) const;

  bool isNull() const { return tree_->kind == JsonTree::Kind::kNull; }
  bool isText() const { return tree_->kind == JsonTree::Kind::kString; }
  bool isObject() const { return tree_->kind == JsonTree::Kind::kObject; }
  bool isList() const { return tree_->kind == JsonTree::Kind::kList; }

  // The value itself. These throw if it is of another type.
  bool boolean() const;
  double number() const;
  uint32_t whole() const;
  const std::string& text() const;
  std::vector<JsonNode> list() const;
  std::vector<std::pair<std::string, JsonNode>> members() const;

  // A member of this object. find: none if it is absent or null. Both throw if this is no object, at() also if absent.
  std::optional<JsonNode> find(std::string_view key) const;
  JsonNode at(std::string_view key) const;
  bool boolean(std::string_view key, bool absent) const;
  // The member "type", which names the kind of a component.
  const std::string& type() const { return at("type").text(); }
  // Throws if this object has a member beyond these, whose meaning would be ignored.
  void allow(std::initializer_list<std::string_view> keys) const;

  const std::string& place() const { return place_; }

 private:
  JsonNode member(const JsonMember& entry) const;

  const JsonTree* tree_;
  std::string place_;
};

// Reads a whole text, which it overwrites, as one object. where: begins messages. Throws.
JsonTree readJsonObject(std::vector<char>& text, const std::string& where);

}  // namespace nib::model
#endif
