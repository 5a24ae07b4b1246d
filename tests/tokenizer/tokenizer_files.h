// Builds the files of small tokenizers as text.
#ifndef NIB_TESTS_TOKENIZER_FILES_H
#define NIB_TESTS_TOKENIZER_FILES_H

#include "model/tokenizer/tokenizer.h"
#include "model_test.h"

#include <nlohmann/json.hpp>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::model::test {

using Json = nlohmann::ordered_json;
using Ids = std::vector<uint32_t>;

// GPT-2's characters for bytes, made with code of its own.
inline std::vector<std::string> byteCharacters() {
  std::vector<std::string> characters;
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool same = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
    const uint32_t code = same ? byte : next++;
    characters.push_back(code < 128 ? std::string(1, char(code))
                                    : std::string{char(0xc0 | code >> 6), char(0x80 | (code & 63))});
  }
  return characters;
}

// A byte-level BPE whose ids 0 to 255 are the bytes, and 256 and on the products of `merges`, "h e".
inline Json byteLevelJson(const std::vector<std::string>& merges, const Json& pre_tokenizer) {
  Json json;
  json["version"] = "1.0";
  json["added_tokens"] = Json::array();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = pre_tokenizer;
  json["post_processor"] = nullptr;
  json["decoder"] = {{"type", "ByteLevel"}};
  Json vocab;
  uint32_t id = 0;
  for (const std::string& character : byteCharacters()) vocab[character] = id++;
  for (const std::string& merge : merges) {
    const size_t space = merge.find(' ');
    vocab[merge.substr(0, space) + merge.substr(space + 1)] = id++;
  }
  json["model"] = {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}};
  return json;
}

inline Json splitJson(const std::string& pattern) {
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
            {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
}

inline const Json kGpt2Json = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};

inline void addToken(Json& json, uint32_t id, const std::string& content, Json flags = Json::object()) {
  flags["id"] = id;
  flags["content"] = content;
  json["added_tokens"].push_back(flags);
}

// The tokenizer of a folder with these files.
inline Tokenizer loadFiles(const std::vector<std::pair<std::string, std::string>>& files) {
  const TempFolder folder;
  for (const auto& [name, text] : files) writeText(folder / name, text);
  return loadTokenizer(folder.path());
}

inline Tokenizer loadJson(const Json& json) { return loadFiles({{"tokenizer.json", json.dump()}}); }

// The pieces of a text, each between bars: "|In| the|". For byte-level tokenizers.
inline std::string pieces(const Tokenizer& tokenizer, std::string_view text) {
  std::string out = "|";
  for (const uint32_t id : tokenizer.encode(text, false)) out += tokenizer.decode(std::vector{id}, false) + "|";
  return out;
}

}  // namespace nib::model::test
#endif
