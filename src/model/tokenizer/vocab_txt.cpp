// vocab.txt of BERT, a token a line: the tokenizer that transformers makes of it.
#include "model/archive/error.h"
#include "model/archive/posix_file.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/parts.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nib::model {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{64} << 20;

void readLines(const SideFile& file, const std::string& where, TokenizerParts& parts) {
  const std::vector<char> bytes = contentOf(file, kMaxFileBytes);
  std::string_view rest(bytes.data(), bytes.size());
  if (findInvalidUtf8(rest) != std::string_view::npos) throw Error(where + ": is not UTF-8");
  for (uint32_t id = 0; !rest.empty(); ++id) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!parts.vocabulary.add(line, id)) {
      throw Error(where + ": line " + std::to_string(id + 1) + ": token " + quoteText(line) + " appears twice");
    }
  }
}

// A component of tokenizer.json from its text.
template <class Component>
Component componentOf(const std::string& json, const std::string& where) {
  std::vector<char> text(json.begin(), json.end());
  const JsonTree tree = readJsonObject(text, where);
  return Component(JsonNode(tree, where));
}

}  // namespace

void readVocabTxt(const SideFile& file, const std::string& where, const JsonNode& config, TokenizerParts& parts) {
  static constexpr std::array<std::string_view, 7> kClasses = {
      "BertTokenizer",    "BertTokenizerFast",    "DistilBertTokenizer",    "DistilBertTokenizerFast",
      "ElectraTokenizer", "ElectraTokenizerFast", "PreTrainedTokenizerFast"};
  if (const auto type = config.find("tokenizer_class");
      type && std::find(kClasses.begin(), kClasses.end(), type->text()) == kClasses.end()) {
    type->fail("is " + quoteText(type->text()) + ", whose vocab.txt is not that of BERT; use a tokenizer.json");
  }
  if (!config.boolean("do_basic_tokenize", true)) {
    config.at("do_basic_tokenize").fail("is false, which is not supported");
  }
  readLines(file, where, parts);
  const auto flag = [&](const char* key, bool absent) { return config.boolean(key, absent) ? "true" : "false"; };
  std::string accents = "null";
  if (const auto node = config.find("strip_accents")) accents = node->boolean() ? "true" : "false";
  parts.normalizer =
      componentOf<Normalizer>(std::string(R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":)") +
                                  flag("tokenize_chinese_chars", true) + R"(,"strip_accents":)" + accents +
                                  R"(,"lowercase":)" + flag("do_lower_case", true) + "}",
                              where);
  parts.pre_tokenizer = componentOf<PreTokenizer>(R"({"type":"BertPreTokenizer"})", where);
  parts.decoder = componentOf<Decoder>(R"({"type":"WordPiece","prefix":"##","cleanup":true})", where);
  std::vector<AddedToken> special;
  const auto named = [&](const char* key, const char* usual) {
    const auto node = config.find(key);
    const std::string content = !node ? usual : node->isObject() ? node->at("content").text() : node->text();
    const auto id = parts.vocabulary.find(content);
    if (!id) throw Error(where + ": has no token " + quoteText(content) + ", the " + key);
    AddedToken token;
    token.id = *id;
    token.content = content;
    token.special = true;
    token.normalized = false;
    special.push_back(std::move(token));
    return *id;
  };
  WordPieceOptions options;
  options.unknown = named("unk_token", "[UNK]");
  parts.before = {named("cls_token", "[CLS]")};
  parts.after = {named("sep_token", "[SEP]")};
  for (const auto& [key, usual] : {std::pair("pad_token", "[PAD]"), std::pair("mask_token", "[MASK]")}) {
    if (config.find(key) || parts.vocabulary.find(usual)) named(key, usual);
  }
  parts.addTokens(std::move(special), where);
  parts.wordpiece.emplace(parts.vocabulary, std::move(options));
}

}  // namespace nib::model
