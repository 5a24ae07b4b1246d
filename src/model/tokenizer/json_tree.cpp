#include "model/tokenizer/json_tree.h"

#include "model/archive/error.h"
#include "model/archive/posix_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

namespace nib::model {

double readJsonNumber(JsonScanner& scanner, const char* text) {
  scanner.peek();
  const size_t begin = scanner.position();
  scanner.skipValue();
  double number = 0;
  const char* const end = text + scanner.position();
  const auto [stop, error] = std::from_chars(text + begin, end, number);
  if (error != std::errc() || stop != end || !std::isfinite(number)) scanner.fail("expected a finite number");
  return number;
}

JsonTree readJsonTree(JsonScanner& scanner, const char* text) {
  JsonTree tree;
  switch (scanner.peek()) {
    case '"':
      tree.kind = JsonTree::Kind::kString;
      tree.text = scanner.string("a value");
      return tree;
    case '{': {
      tree.kind = JsonTree::Kind::kObject;
      std::set<std::string, std::less<>> keys;
      std::string_view key;
      for (bool first = true; scanner.nextKey(first, key);) {
        if (!keys.emplace(key).second) scanner.fail("the key " + quoteText(key) + " appears twice");
        std::string name(key);
        tree.object.emplace_back(std::move(name), readJsonTree(scanner, text));
      }
      return tree;
    }
    case '[':
      tree.kind = JsonTree::Kind::kList;
      for (bool first = true; scanner.nextElement(first);) tree.list.push_back(readJsonTree(scanner, text));
      return tree;
    case 't':
    case 'f':
      tree.kind = JsonTree::Kind::kBool;
      tree.boolean = scanner.peek() == 't';
      scanner.skipValue();
      return tree;
    case 'n': scanner.skipValue(); return tree;
    default:
      tree.kind = JsonTree::Kind::kNumber;
      tree.number = readJsonNumber(scanner, text);
      return tree;
  }
}

void JsonNode::fail(const std::string& problem) const { throw Error(place_ + ": " + problem); }

bool JsonNode::boolean() const {
  if (tree_->kind != JsonTree::Kind::kBool) fail("expected true or false");
  return tree_->boolean;
}

double JsonNode::number() const {
  if (tree_->kind != JsonTree::Kind::kNumber) fail("expected a number");
  return tree_->number;
}

uint32_t JsonNode::whole() const {
  const double value = number();
  if (value < 0 || value > 2147483647 || value != std::floor(value)) fail("expected a whole number below 2^31");
  return uint32_t(value);
}

const std::string& JsonNode::text() const {
  if (!isText()) fail("expected a string");
  return tree_->text;
}

std::vector<JsonNode> JsonNode::list() const {
  if (!isList()) fail("expected a list");
  std::vector<JsonNode> nodes;
  for (size_t i = 0; i < tree_->list.size(); ++i) {
    nodes.emplace_back(tree_->list[i], place_ + '[' + std::to_string(i) + ']');
  }
  return nodes;
}

JsonNode JsonNode::member(const JsonMember& entry) const {
  // Keys are untrusted text. The place of the document itself ends in ": ".
  const std::string name = quoteText(entry.first, 60);
  return {entry.second, place_ + (place_.ends_with(' ') ? "" : ".") + name.substr(1, name.size() - 2)};
}

std::vector<std::pair<std::string, JsonNode>> JsonNode::members() const {
  if (!isObject()) fail("expected an object");
  std::vector<std::pair<std::string, JsonNode>> nodes;
  for (const auto& entry : tree_->object) nodes.emplace_back(entry.first, member(entry));
  return nodes;
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  if (!isObject()) fail("expected an object");
  for (const auto& entry : tree_->object) {
    if (entry.first == key && entry.second.kind != JsonTree::Kind::kNull) return member(entry);
  }
  return std::nullopt;
}

JsonNode JsonNode::at(std::string_view key) const {
  std::optional<JsonNode> node = find(key);
  if (!node) fail("has no " + quoteText(key));
  return *node;
}

bool JsonNode::boolean(std::string_view key, bool absent) const {
  const std::optional<JsonNode> node = find(key);
  return node ? node->boolean() : absent;
}

void JsonNode::allow(std::initializer_list<std::string_view> keys) const {
  for (const auto& [key, node] : members()) {
    if (key != "type" && !node.isNull() && std::find(keys.begin(), keys.end(), key) == keys.end()) {
      fail("has the unknown setting " + quoteText(key));
    }
  }
}

JsonTree readJsonObject(std::vector<char>& text, const std::string& where) {
  JsonScanner scanner(text, where, "the file");
  JsonTree tree = readJsonTree(scanner, text.data());
  scanner.finish(true);
  if (tree.kind != JsonTree::Kind::kObject) throw Error(where + ": expected an object");
  return tree;
}

}  // namespace nib::model
