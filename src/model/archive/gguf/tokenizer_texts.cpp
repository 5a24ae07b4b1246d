// tokenizer.json, or SentencePiece's tokenizer.model, of a GGUF file.
#include "model/archive/error.h"
#include "model/archive/gguf/byte_pre_tokenizers.h"
#include "model/archive/gguf/texts.h"
#include "model/archive/json_scanner.h"
#include "model/archive/utf8.h"

#include <bit>

namespace nib::model {
namespace {

enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct Tokens {
  std::vector<std::string_view> text;
  std::vector<int32_t> type;
  std::vector<float> score;
};

Tokens readTokens(const GgufHeader& header) {
  Tokens tokens;
  tokens.text = *header.texts("tokenizer.ggml.tokens");
  const size_t count = tokens.text.size();
  for (const std::string_view text : tokens.text) {
    if (findInvalidUtf8(text) != text.npos)
      header.fail("\"tokenizer.ggml.tokens\": " + quoteText(text) + " is no text");
  }
  const auto read = [&](const char* key, auto& to, auto absent) {
    const std::optional<std::vector<double>> values = header.numbers(key);
    if (values && values->size() < count) {
      header.fail(std::string("\"") + key + "\": has " + std::to_string(values->size()) + " values for " +
                  std::to_string(count) + " tokens");
    }
    for (size_t i = 0; i < count; ++i) {
      const double value = values ? (*values)[i] : absent;
      if (!(value >= -3e38 && value <= 3e38))
        header.fail(std::string("\"") + key + "\": has a value that is not finite");
      to.push_back(std::remove_reference_t<decltype(to[0])>(value));
    }
  };
  std::vector<float> types;
  read("tokenizer.ggml.token_type", types, double(kNormal));
  for (const float type : types) tokens.type.push_back(type >= 1 && type <= 6 ? int32_t(type) : kNormal);
  read("tokenizer.ggml.scores", tokens.score, 0.0);
  return tokens;
}

std::string addedToken(uint32_t id, std::string_view text, bool special) {
  return "{\"id\": " + std::to_string(id) + ", \"content\": " + jsonString(text) +
         ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": " +
         (special ? "true" : "false") + "}";
}

// The text of a token that metadata names by its id. None if it is absent.
std::optional<std::string> tokenOf(const GgufHeader& header, const Tokens& tokens, const char* name) {
  const std::string key = std::string("tokenizer.ggml.") + name + "_token_id";
  const std::optional<uint64_t> id = header.whole(key);
  if (!id) return std::nullopt;
  if (*id >= tokens.text.size()) header.fail("\"" + key + "\": is " + std::to_string(*id) + ", which is no token");
  return std::string(tokens.text[size_t(*id)]);
}

std::string configText(const GgufHeader& header, const Tokens& tokens, bool adds_bos, const std::string& more) {
  std::string text = "{" + more;
  const auto add = [&](const char* key, const std::string& value) {
    text += (text.size() == 1 ? "\n  " : ",\n  ") + jsonString(key) + ": " + value;
  };
  for (const auto& [key, name] : {std::pair("bos_token", "bos"), std::pair("eos_token", "eos"),
                                  std::pair("unk_token", "unknown"), std::pair("pad_token", "padding")}) {
    const std::optional<std::string> token = tokenOf(header, tokens, name);
    if (token) add(key, jsonString(*token));
  }
  add("add_bos_token", header.flag("tokenizer.ggml.add_bos_token").value_or(adds_bos) ? "true" : "false");
  add("add_eos_token", header.flag("tokenizer.ggml.add_eos_token").value_or(false) ? "true" : "false");
  const std::optional<std::string_view> chat = header.text("tokenizer.chat_template");
  if (chat && findInvalidUtf8(*chat) == chat->npos) add("chat_template", jsonString(*chat));
  return text + "\n}\n";
}

std::string bytesText(const GgufHeader& header, const Tokens& tokens, const BytePreTokenizer& pre) {
  const auto merges = header.texts("tokenizer.ggml.merges");
  if (!merges) header.fail("has no \"tokenizer.ggml.merges\"");
  std::string added, vocabulary, list;
  for (uint32_t id = 0; id < tokens.text.size(); ++id) {
    const std::string_view text = tokens.text[id];
    if (tokens.type[id] == kUnused) continue;
    if (tokens.type[id] == kNormal || tokens.type[id] == kByte) {
      vocabulary += (vocabulary.empty() ? "" : ", ") + jsonString(text) + ": " + std::to_string(id);
    } else {
      added += (added.empty() ? "" : ",\n    ") + addedToken(id, text, tokens.type[id] != kUserDefined);
    }
  }
  for (const std::string_view merge : *merges) {
    if (findInvalidUtf8(merge) != merge.npos) header.fail("\"tokenizer.ggml.merges\": has a merge that is no text");
    list += (list.empty() ? "" : ", ") + jsonString(merge);
  }
  const bool built_in = *pre.pattern == '\0';
  std::string steps;
  if (pre.digits) steps += R"({"type": "Digits", "individual_digits": true}, )";
  if (!built_in) {
    steps += "{\"type\": \"Split\", \"pattern\": {\"Regex\": " + jsonString(pre.pattern) +
             "}, \"behavior\": \"Isolated\", \"invert\": false}, ";
  }
  steps += R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": )" +
           std::string(built_in ? "true}" : "false}");
  return "{\n  \"version\": \"1.0\",\n  \"added_tokens\": [" + added +
         "],\n  \"normalizer\": " + (pre.composes ? "{\"type\": \"NFC\"}" : "null") +
         ",\n  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [" + steps +
         "]},\n  \"post_processor\": null,\n  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
         "\"trim_offsets\": true, \"use_regex\": true},\n  \"model\": {\"type\": \"BPE\", \"ignore_merges\": " +
         (pre.ignores_merges ? "true" : "false") + ",\n    \"vocab\": {" + vocabulary + "},\n    \"merges\": [" + list +
         "]}\n}\n";
}

// Fields of a message of protocol buffers.
void addNumber(std::string& bytes, uint64_t value) {
  for (; value >= 128; value >>= 7) bytes += char((value & 127) | 128);
  bytes += char(value);
}
void addField(std::string& bytes, uint32_t field, uint64_t value) {
  addNumber(bytes, field << 3);
  addNumber(bytes, value);
}
void addField(std::string& bytes, uint32_t field, std::string_view value) {
  addNumber(bytes, field << 3 | 2);
  addNumber(bytes, value.size());
  bytes += value;
}

// A model of SentencePiece's BPE.
std::string piecesText(const GgufHeader& header, const Tokens& tokens) {
  std::string bytes;
  uint32_t byte_count = 0;
  for (uint32_t id = 0; id < tokens.text.size(); ++id) {
    std::string text(tokens.text[id]);
    if (tokens.type[id] == kUserDefined) {
      std::string spelled;
      for (const char c : text) spelled += c == ' ' ? "\u2581" : std::string(1, c);
      text = spelled;
    }
    std::string piece;
    addField(piece, 1, text);
    addNumber(piece, 2 << 3 | 5);
    const uint32_t score = std::bit_cast<uint32_t>(tokens.score[id]);
    for (uint32_t i = 0; i < 4; ++i) piece += char(score >> (8 * i) & 0xff);
    addField(piece, 3, uint64_t(tokens.type[id]));
    byte_count += tokens.type[id] == kByte;
    addField(bytes, 1, piece);
  }
  const auto id = [&](const char* name) {
    const auto value = header.whole(std::string("tokenizer.ggml.") + name + "_token_id");
    return value ? *value : uint64_t(-1);
  };
  std::string trainer;
  addField(trainer, 3, uint64_t{2});
  addField(trainer, 35, uint64_t(byte_count == 256));
  addField(trainer, 40, header.whole("tokenizer.ggml.unknown_token_id").value_or(0));
  addField(trainer, 41, id("bos"));
  addField(trainer, 42, id("eos"));
  addField(trainer, 43, id("padding"));
  addField(bytes, 2, trainer);
  std::string normalizer;
  addField(normalizer, 1, std::string_view("identity"));
  addField(normalizer, 3, uint64_t(header.flag("tokenizer.ggml.add_space_prefix").value_or(true)));
  addField(normalizer, 4, uint64_t(header.flag("tokenizer.ggml.remove_extra_whitespaces").value_or(false)));
  addField(normalizer, 5, uint64_t{1});
  addField(bytes, 3, normalizer);
  return bytes;
}

}  // namespace

std::vector<TextFile> ggufTokenizerTexts(const GgufHeader& header, std::vector<std::string>& notes) {
  const std::string model(header.text("tokenizer.ggml.model").value_or("none"));
  if (model == "none" || !header.has("tokenizer.ggml.tokens")) return {};
  const Tokens tokens = readTokens(header);
  if (model == "gpt2") {
    const std::string pre(header.text("tokenizer.ggml.pre").value_or("default"));
    for (const BytePreTokenizer& known : bytePreTokenizers()) {
      if (pre != known.name) continue;
      const bool adds_bos = known.ignores_merges;  // llama-bpe and tekken, if the file does not say
      return {{"tokenizer.json", bytesText(header, tokens, known)},
              {"tokenizer_config.json", configText(header, tokens, adds_bos, "")}};
    }
    notes.push_back("the tokenizer divides texts by the rule " + quoteText(pre) + ", which nibble does not read");
    return {};
  }
  if (model == "llama") {
    std::string added;
    for (uint32_t id = 0; id < tokens.text.size(); ++id) {
      if (tokens.type[id] != kControl && tokens.type[id] != kUnknown) continue;
      const std::string token = addedToken(id, tokens.text[id], true);
      added +=
          (added.empty() ? "" : ", ") + jsonString(std::to_string(id)) + ": {" + token.substr(token.find("\"content"));
    }
    return {{"tokenizer.model", piecesText(header, tokens)},
            {"tokenizer_config.json",
             configText(header, tokens, true,
                        "\n  \"tokenizer_class\": \"LlamaTokenizer\",\n  \"added_tokens_decoder\": {" + added + "}")}};
  }
  notes.push_back("the tokenizer is of the kind " + quoteText(model) + ", which nibble does not read");
  return {};
}

}  // namespace nib::model
