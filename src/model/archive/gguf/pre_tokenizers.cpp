#include "model/archive/gguf/pre_tokenizers.h"

#include "model/archive/error.h"
#include "model/archive/gguf/byte_pre_tokenizers.h"

#include <optional>
#include <vector>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

Json member(const Json& json, const char* key) { return json.is_object() && json.contains(key) ? json[key] : Json(); }

bool isType(const Json& json, const char* type) { return member(json, "type") == type; }

// The steps of a component, which may be a Sequence of several.
std::vector<Json> stepsOf(const Json& json, const char* list) {
  std::vector<Json> steps;
  if (json.is_null()) return steps;
  if (!isType(json, "Sequence")) return {json};
  for (const Json& step : member(json, list)) {
    for (const Json& inner : stepsOf(step, list)) steps.push_back(inner);
  }
  return steps;
}

// The byte pre-tokenizer that takes these steps. None if there is no such.
std::optional<BytePreTokenizer> findByte(const std::vector<Json>& steps) {
  if (steps.empty() || !isType(steps.back(), "ByteLevel") || member(steps.back(), "add_prefix_space") == true) {
    return std::nullopt;
  }
  std::string pattern;
  bool digits = false;
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    const Json& step = steps[i];
    if (isType(step, "Digits") && member(step, "individual_digits") == true && i == 0) {
      digits = true;
    } else if (isType(step, "Split") && member(step, "behavior") == "Isolated" && member(step, "invert") != true &&
               member(member(step, "pattern"), "Regex").is_string() && pattern.empty()) {
      pattern = member(member(step, "pattern"), "Regex").get<std::string>();
    } else {
      return std::nullopt;
    }
  }
  const bool built_in = member(steps.back(), "use_regex") != false;
  if (built_in != pattern.empty()) return std::nullopt;
  for (const BytePreTokenizer& known : bytePreTokenizers()) {
    if (pattern == known.pattern && digits == known.digits) return known;
  }
  return std::nullopt;
}

// Whether the steps of a tokenizer.json are those of SentencePiece: spaces become U+2581, and one may be put in front.
std::optional<PreTokenizerName> findSentencePiece(const Json& json) {
  PreTokenizerName name{"default", true, false};
  bool replaces = false;
  for (const Json& step : stepsOf(member(json, "normalizer"), "normalizers")) {
    if (isType(step, "Prepend") && member(step, "prepend") == "\u2581") {
      name.adds_space = true;
    } else if (isType(step, "Replace") && member(member(step, "pattern"), "String") == " " &&
               member(step, "content") == "\u2581") {
      replaces = true;
    } else {
      return std::nullopt;
    }
  }
  for (const Json& step : stepsOf(member(json, "pre_tokenizer"), "pretokenizers")) {
    if (!isType(step, "Metaspace") || member(step, "split") != false) return std::nullopt;
    replaces = true;
    name.adds_space = member(step, "prepend_scheme") != "never";
    if (name.adds_space) {
      const bool only_first = member(step, "prepend_scheme") == "first";
      name.note = std::string("llama.cpp puts a space in front of a text that begins with one too") +
                  (only_first ? ", and behind every special token" : "") + ", which tokenizer.json does not";
    }
  }
  const Json model = member(json, "model");
  if (!replaces || member(model, "byte_fallback") != true || !member(model, "merges").is_array()) return std::nullopt;
  return name;
}

}  // namespace

PreTokenizerName preTokenizerOf(const Json& json, const std::string& where) {
  if (const std::optional<PreTokenizerName> name = findSentencePiece(json)) return *name;
  const Json model = member(json, "model");
  const std::optional<BytePreTokenizer> byte = findByte(stepsOf(member(json, "pre_tokenizer"), "pretokenizers"));
  if (!byte || !member(model, "merges").is_array() || member(model, "byte_fallback") == true) {
    std::string names;
    for (const BytePreTokenizer& known : bytePreTokenizers())
      names += (names.empty() ? "" : ", ") + std::string(known.name);
    throw Error(where + ": divides texts in none of the ways that llama.cpp and nibble both know (" + names +
                ", SentencePiece BPE), so that --format gguf cannot write it");
  }
  std::string note;
  for (const Json& step : stepsOf(member(json, "normalizer"), "normalizers")) {
    // llama.cpp leaves it out; most texts are composed already.
    if (isType(step, "NFC") && byte->composes) {
      note =
          "llama.cpp does not compose characters (NFC) as tokenizer.json does: texts with accents as characters of "
          "their own have other ids there";
      continue;
    }
    throw Error(where + ": has a normalizer, which llama.cpp's tokenizer " + byte->name + " does not apply");
  }
  if ((member(model, "ignore_merges") == true) != byte->ignores_merges) {
    throw Error(where + ": its ignore_merges is not that of llama.cpp's tokenizer " + byte->name);
  }
  return {byte->name, false, false, note};
}

}  // namespace nib::model
