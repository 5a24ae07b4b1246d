#include "model/archive/gguf/vocabulary.h"

#include "model/archive/error.h"
#include "model/archive/gguf/pre_tokenizers.h"
#include "model/archive/json_document.h"
#include "model/archive/side_files.h"
#include "model/tokenizer/parts.h"
#include "model/tokenizer/tokenizer.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <unordered_map>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxFileBytes = uint64_t{512} << 20;

enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

// The tokens as GGUF lists them.
struct Tokens {
  std::vector<std::string> text;
  std::vector<int32_t> type;
  std::vector<float> score;
};

// Where messages place a file.
std::string placeOf(const SideFile& file) { return shown(file.text ? file.path / file.name : file.path); }

// The JSON of a file, an empty object if it is absent.
Json readFile(const SideFile* file) {
  if (file == nullptr) return Json::object();
  std::vector<char> text = contentOf(*file, kMaxFileBytes);
  return readJson(text, placeOf(*file));
}

Json member(const Json& json, const char* key) { return json.is_object() && json.contains(key) ? json[key] : Json(); }

bool isByteToken(const std::string& text) {
  return text.size() == 6 && text.starts_with("<0x") && text[5] == '>' &&
         text.find_first_not_of("0123456789ABCDEF", 3) == 5;
}

// Every token of the vocabulary and of the added tokens, and pads for ids that have none.
Tokens listTokens(const Tokenizer& tokenizer, uint32_t count, const std::string& where) {
  const TokenizerParts& parts = tokenizer.parts();
  if (tokenizer.size() > count) {
    throw Error(where + ": has " + std::to_string(tokenizer.size()) + " tokens, the network only " +
                std::to_string(count));
  }
  std::vector<bool> is_added(count, false);
  for (const AddedTokens* added : {&parts.raw, &parts.normalized}) {
    for (const AddedToken& token : added->tokens()) is_added[token.id] = true;
  }
  Tokens tokens;
  for (uint32_t id = 0; id < count; ++id) {
    const std::string* text = parts.text(id);
    tokens.text.push_back(text != nullptr ? *text : "[PAD" + std::to_string(id) + "]");
    tokens.score.push_back(0);
    tokens.type.push_back(text == nullptr           ? kUnused
                          : tokenizer.isSpecial(id) ? kControl
                          : is_added[id]            ? kUserDefined
                                                    : kNormal);
  }
  return tokens;
}

// The pieces of SentencePiece's file.
void setPieces(const SentencePiece& model, Tokens& tokens) {
  for (uint32_t id = 0; id < tokens.text.size(); ++id) {
    if (id < model.vocabulary().size()) {
      const SentencePiece::Piece piece = model.piece(id);
      tokens.score[id] = piece.score;
      if (tokens.type[id] != kUserDefined || piece.type == kUnknown) tokens.type[id] = int32_t(piece.type);
    } else {
      tokens.score[id] = tokens.type[id] == kUnused ? -10000.0f : -1000.0f;
    }
  }
}

// A tokenizer.json that does what SentencePiece's BPE does, by merges. llama.cpp merges the pair whose product has the
// best score; with scores that fall with the rank of the merge, that is the same pair.
void setRanks(const Json& model, const std::optional<uint32_t>& unknown, Tokens& tokens) {
  std::unordered_map<std::string, uint32_t> ranks;
  uint32_t rank = 0;
  for (const Json& merge : model["merges"]) {
    std::string product;
    if (merge.is_array()) {
      product = merge[0].get<std::string>() + merge[1].get<std::string>();
    } else {
      const std::string both = merge.get<std::string>();
      const size_t space = both.find(' ');
      product = both.substr(0, space) + both.substr(space + 1);
    }
    ranks.emplace(std::move(product), rank++);
  }
  for (uint32_t id = 0; id < tokens.text.size(); ++id) {
    const auto found = ranks.find(tokens.text[id]);
    tokens.score[id] = found != ranks.end() ? -float(found->second) : -float(rank);
    if (unknown == id) tokens.type[id] = kUnknown;
    if (tokens.type[id] == kNormal && isByteToken(tokens.text[id])) tokens.type[id] = kByte;
  }
}

void addMerges(const Json& model, GgufMetadata& metadata) {
  std::vector<std::string> merges;
  for (const Json& merge : model["merges"]) {
    if (!merge.is_array()) {
      merges.push_back(merge.get<std::string>());
      continue;
    }
    // A space within a part is written as it is in the vocabulary of bytes.
    std::string parts[2];
    for (int i = 0; i < 2; ++i) {
      for (const char c : merge[size_t(i)].get<std::string>()) parts[i] += c == ' ' ? "\u0120" : std::string(1, c);
    }
    merges.push_back(parts[0] + ' ' + parts[1]);
  }
  metadata.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
}

// The token that begins or ends a text: the one that is known, else the only one that is added there.
std::optional<uint32_t> edgeOf(const std::optional<uint32_t>& known, const std::vector<uint32_t>& added) {
  return known || added.size() != 1 ? known : added[0];
}

// Ids in front of and behind a text: GGUF has the beginning and the end of a text only.
void addAround(const Tokenizer& tokenizer, const std::string& where, GgufMetadata& metadata) {
  const auto adds = [&](const std::vector<uint32_t>& ids, const std::optional<uint32_t>& id, const char* what) {
    if (ids.empty()) return false;
    if (id && ids == std::vector<uint32_t>{*id}) return true;
    throw Error(where + ": the tokens that it adds " + what + " a text are not the one that GGUF can add");
  };
  metadata.add("tokenizer.ggml.add_bos_token",
               adds(tokenizer.before(), edgeOf(tokenizer.bos(), tokenizer.before()), "in front of"));
  metadata.add("tokenizer.ggml.add_eos_token",
               adds(tokenizer.after(), edgeOf(tokenizer.eos(), tokenizer.after()), "behind"));
}

void addIds(const Tokenizer& tokenizer, const Json& config, GgufMetadata& metadata) {
  const std::optional<uint32_t> bos = edgeOf(tokenizer.bos(), tokenizer.before());
  const std::optional<uint32_t> eos = edgeOf(tokenizer.eos(), tokenizer.after());
  if (bos) metadata.add("tokenizer.ggml.bos_token_id", *bos);
  if (eos) metadata.add("tokenizer.ggml.eos_token_id", *eos);
  for (const auto& [key, name] :
       {std::pair("unk_token", "unknown_token_id"), std::pair("pad_token", "padding_token_id")}) {
    Json token = member(config, key);
    if (token.is_object()) token = member(token, "content");
    if (!token.is_string()) continue;
    const std::optional<uint32_t> id = tokenizer.find(token.get<std::string>());
    if (id) metadata.add(std::string("tokenizer.ggml.") + name, *id);
  }
  // The first of several ids that end a text is eos; a chat ends its turns with another.
  const std::vector<uint32_t>& stops = tokenizer.stopIds();
  const auto other = std::find_if(stops.begin(), stops.end(), [&](uint32_t id) { return eos != id; });
  if (other != stops.end() && tokenizer.token(*other) != nullptr) {
    metadata.add("tokenizer.ggml.eot_token_id", *other);
  }
}

void addTemplate(const Surroundings& model, const Json& config, GgufMetadata& metadata) {
  if (const SideFile* file = findSideFile(model.side_files, "chat_template.jinja")) {
    const std::vector<char> text = contentOf(*file, kMaxFileBytes);
    metadata.add("tokenizer.chat_template", std::string_view(text.data(), text.size()));
    return;
  }
  const Json chat = member(config, "chat_template");
  if (chat.is_string()) metadata.add("tokenizer.chat_template", chat.get<std::string>());
  if (!chat.is_array()) return;
  for (const Json& entry : chat) {
    const Json name = member(entry, "name"), text = member(entry, "template");
    if (!name.is_string() || !text.is_string()) continue;
    const std::string key = "tokenizer.chat_template";
    metadata.add(name == "default" ? key : key + "." + name.get<std::string>(), text.get<std::string>());
  }
}

}  // namespace

void addVocabulary(const Surroundings& model, uint32_t count, GgufMetadata& metadata, std::vector<std::string>& notes) {
  const SideFile* const json_file = findSideFile(model.side_files, "tokenizer.json");
  const SideFile* const piece_file = findSideFile(model.side_files, "tokenizer.model");
  if (json_file == nullptr && piece_file == nullptr) {
    metadata.add("tokenizer.ggml.model", "none");
    notes.push_back(
        "there is no tokenizer.json or tokenizer.model: the output has no tokens, so that programs can run "
        "it on token ids only");
    return;
  }
  const SideFile& main_file = json_file != nullptr ? *json_file : *piece_file;
  const std::string where = placeOf(main_file);
  const Tokenizer tokenizer = main_file.text ? loadTokenizer(model.side_files, model.config_json, main_file.path)
                                             : loadTokenizer(main_file.path.parent_path());
  const Json json = readFile(json_file);
  const Json config = readFile(findSideFile(model.side_files, "tokenizer_config.json"));
  const PreTokenizerName pre = json_file != nullptr ? preTokenizerOf(json, where) : PreTokenizerName{"default", true};

  if (!pre.note.empty()) notes.push_back(pre.note);

  Tokens tokens = listTokens(tokenizer, count, where);
  if (!pre.sentencepiece) {
    metadata.add("tokenizer.ggml.model", "gpt2");
    metadata.add("tokenizer.ggml.pre", pre.name);
  } else {
    metadata.add("tokenizer.ggml.model", "llama");
    metadata.add("tokenizer.ggml.pre", pre.name);
    // The scores of the original file, if it is there.
    if (piece_file != nullptr) {
      const SentencePiece pieces(*piece_file, placeOf(*piece_file));
      if (!pieces.isBpe()) {
        throw Error(placeOf(*piece_file) + ": is a SentencePiece UNIGRAM model; --format gguf writes BPE only");
      }
      for (uint32_t id = 0; id < std::min<uint32_t>(pieces.vocabulary().size(), count); ++id) {
        const std::string* text = pieces.vocabulary().text(id);
        if (text != nullptr && *text != tokens.text[id] && tokens.type[id] == kNormal) {
          throw Error(where + ": token " + std::to_string(id) + " is " + quoteText(tokens.text[id]) + ", but " +
                      quoteText(*text) + " in " + placeOf(*piece_file) + ": the files are those of different models");
        }
      }
      setPieces(pieces, tokens);
      metadata.add("tokenizer.ggml.add_space_prefix", pieces.addsPrefix());
      if (pieces.removesSpace()) metadata.add("tokenizer.ggml.remove_extra_whitespaces", true);
    } else {
      const Json unknown = member(json["model"], "unk_token");
      setRanks(json["model"], unknown.is_string() ? tokenizer.find(unknown.get<std::string>()) : std::nullopt, tokens);
      metadata.add("tokenizer.ggml.add_space_prefix", pre.adds_space);
    }
    // A space in front of an added token is part of it there, and written plainly.
    for (uint32_t id = 0; id < count; ++id) {
      if (tokens.type[id] != kUserDefined) continue;
      std::string& text = tokens.text[id];
      for (size_t at = 0; (at = text.find("\u2581", at)) != text.npos;) text.replace(at, 3, " ");
    }
    metadata.add("tokenizer.ggml.scores", std::span<const float>(tokens.score));
  }
  metadata.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens.text));
  metadata.add("tokenizer.ggml.token_type", std::span<const int32_t>(tokens.type));
  if (!pre.sentencepiece) addMerges(json["model"], metadata);
  addIds(tokenizer, config, metadata);
  addAround(tokenizer, where, metadata);
  addTemplate(model, config, metadata);
}

}  // namespace nib::model
