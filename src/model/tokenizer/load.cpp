// Which files of a folder make its tokenizer, and what its configuration files say about special tokens.
#include "model/archive/error.h"
#include "model/tokenizer/json_tree.h"
#include "model/tokenizer/parts.h"
#include "model/tokenizer/tokenizer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

namespace nib::model {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxConfigBytes = uint64_t{64} << 20;

// A configuration file, which may be absent.
class Config {
 public:
  // file: NULL if it is absent.
  Config(const SideFile* file, const std::string& place) : place_(place + ": ") {
    tree_.kind = JsonTree::Kind::kObject;
    if (file == nullptr) return;
    std::vector<char> text = contentOf(*file, kMaxConfigBytes);
    tree_ = readJsonObject(text, place);
  }
  JsonNode root() const { return {tree_, place_}; }
  std::optional<JsonNode> find(std::string_view key) const { return root().find(key); }
  // Whether the key is there, if only as null.
  bool says(std::string_view key) const {
    return std::any_of(tree_.object.begin(), tree_.object.end(), [&](const auto& m) { return m.first == key; });
  }

 private:
  JsonTree tree_;
  std::string place_;
};

// The files of a tokenizer.
class Files {
 public:
  // folder: for messages about files that may be absent.
  Files(std::vector<SideFile> files, fs::path folder) : files_(std::move(files)), folder_(std::move(folder)) {}

  const SideFile* find(std::string_view name) const { return findSideFile(files_, name); }
  std::string place(std::string_view name) const { return shown(folder_ / name); }
  Config config(std::string_view name) const { return {find(name), place(name)}; }
  const fs::path& folder() const { return folder_; }

 private:
  std::vector<SideFile> files_;
  fs::path folder_;
};

struct Configs {
  explicit Configs(const Files& files)
      : tokenizer(files.config("tokenizer_config.json")),
        generation(files.config("generation_config.json")),
        model(files.config("config.json")) {}
  Config tokenizer, generation, model;
};

// A token as text, or as an object with its content.
std::string contentOf(const JsonNode& node) { return node.isObject() ? node.at("content").text() : node.text(); }

// An id, or a list of them.
std::vector<uint32_t> idsOf(const JsonNode& node) {
  std::vector<uint32_t> ids;
  if (!node.isList()) return {node.whole()};
  for (const JsonNode& item : node.list()) ids.push_back(item.whole());
  return ids;
}

std::optional<uint32_t> namedToken(const Config& config, const char* key, const TokenizerParts& parts) {
  const auto node = config.find(key);
  if (!node) return std::nullopt;
  const std::string content = contentOf(*node);
  const auto id = parts.find(content);
  if (!id) node->fail("is " + quoteText(content) + ", which is not a token");
  return id;
}

// Tokens that tokenizer_config.json adds to those of the tokenizer's own file.
void addConfigTokens(const Config& config, TokenizerParts& parts) {
  const auto list = config.find("added_tokens_decoder");
  if (!list) return;
  std::vector<AddedToken> tokens;
  for (const auto& [key, node] : list->members()) {
    uint32_t id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size()) node.fail("its key is not an id");
    AddedToken token = readAddedToken(node, id);
    // The other file has its own flags; it must only agree about the id.
    const auto known = parts.sentencepiece ? std::nullopt : parts.find(token.content);
    if (known && *known != id) {
      node.fail("has the content " + quoteText(token.content) + ", whose id is " + std::to_string(*known));
    }
    if (!known) tokens.push_back(std::move(token));
  }
  parts.addTokens(std::move(tokens), list->place());
}

void setSpecialIds(const Configs& configs, TokenizerParts& parts) {
  const auto one = [&](const char* name, const char* id_name) -> std::optional<uint32_t> {
    if (configs.tokenizer.says(name)) return namedToken(configs.tokenizer, name, parts);
    for (const Config* config : {&configs.generation, &configs.model}) {
      const auto node = config->find(id_name);
      if (!node) continue;
      const std::vector<uint32_t> ids = idsOf(*node);
      if (!ids.empty()) return ids[0];
    }
    return std::nullopt;
  };
  if (const auto id = one("bos_token", "bos_token_id")) parts.bos = id;
  if (const auto id = one("eos_token", "eos_token_id")) parts.eos = id;
  if (configs.tokenizer.says("mask_token")) {
    parts.mask = namedToken(configs.tokenizer, "mask_token", parts);
  } else {
    for (const char* usual : {"[MASK]", "<mask>"}) {
      const auto id = parts.find(usual);
      if (id && *id < parts.special.size() && parts.special[*id]) parts.mask = id;
    }
  }
  for (const Config* config : {&configs.generation, &configs.model}) {
    if (!parts.stop_ids.empty()) break;
    if (const auto node = config->find("eos_token_id")) parts.stop_ids = idsOf(*node);
  }
  if (parts.stop_ids.empty() && parts.eos) parts.stop_ids = {*parts.eos};
}

void addAround(const Config& config, bool adds_bos, TokenizerParts& parts) {
  const auto add = [&](const char* key, bool absent, const std::optional<uint32_t>& id, std::vector<uint32_t>& to) {
    if (!config.root().boolean(key, absent)) return;
    if (!id) config.root().fail(std::string("says ") + key + ", but there is no such token");
    to = {*id};
  };
  add("add_bos_token", adds_bos, parts.bos, parts.before);
  add("add_eos_token", false, parts.eos, parts.after);
}

void loadSentencePiece(const Files& files, const Configs& configs, TokenizerParts& parts) {
  const SentencePiece& model =
      parts.sentencepiece.emplace(*files.find("tokenizer.model"), files.place("tokenizer.model"));
  parts.vocabulary = model.vocabulary();
  for (uint32_t id = 0; id < parts.vocabulary.size(); ++id) parts.special.push_back(model.isControl(id));
  parts.decoder = Decoder::sentencePiece(model.addsPrefix(), model.removesSpace());
  parts.bos = model.bos();
  parts.eos = model.eos();
  parts.prefix_everywhere = configs.tokenizer.root().boolean("legacy", true);
  addConfigTokens(configs.tokenizer, parts);
  // Older files: a list of its own.
  const Config more = files.config("added_tokens.json");
  std::vector<AddedToken> tokens;
  for (const auto& [content, id] : more.root().members()) {
    if (parts.added.find(content)) continue;
    AddedToken token;
    token.id = id.whole();
    if (token.id >= kMaxTokens) id.fail("is " + std::to_string(kMaxTokens) + " or more");
    token.content = content;
    token.special = true;
    token.normalized = false;
    tokens.push_back(std::move(token));
  }
  parts.addTokens(std::move(tokens), more.root().place() + "added tokens");
  setSpecialIds(configs, parts);
  bool adds_bos = parts.bos.has_value();
  if (const auto type = configs.tokenizer.find("tokenizer_class")) {
    static constexpr std::array<std::string_view, 6> kWithBos = {"LlamaTokenizer",     "LlamaTokenizerFast",
                                                                 "CodeLlamaTokenizer", "CodeLlamaTokenizerFast",
                                                                 "GemmaTokenizer",     "GemmaTokenizerFast"};
    const bool known = std::find(kWithBos.begin(), kWithBos.end(), type->text()) != kWithBos.end();
    if (!known && !configs.tokenizer.find("add_bos_token")) {
      type->fail("the special tokens that a " + quoteText(type->text()) +
                 " adds are not known; say \"add_bos_token\" in this file, or use a tokenizer.json");
    }
    adds_bos = known && adds_bos;
  }
  addAround(configs.tokenizer, adds_bos, parts);
}

Tokenizer load(const Files& files) {
  const auto parts = std::make_shared<TokenizerParts>();
  const Configs configs(files);
  if (const SideFile* json = files.find("tokenizer.json")) {
    readTokenizerJson(*json, files.place("tokenizer.json"), *parts);
    addConfigTokens(configs.tokenizer, *parts);
    setSpecialIds(configs, *parts);
    // Otherwise the post-processor says it.
    if (parts->before.empty() && parts->after.empty()) addAround(configs.tokenizer, false, *parts);
  } else if (files.find("tokenizer.model") != nullptr) {
    loadSentencePiece(files, configs, *parts);
  } else if (const SideFile* lines = files.find("vocab.txt")) {
    readVocabTxt(*lines, files.place("vocab.txt"), configs.tokenizer.root(), *parts);
    addConfigTokens(configs.tokenizer, *parts);
    setSpecialIds(configs, *parts);
  } else {
    throw Error(shown(files.folder()) +
                ": has neither tokenizer.json nor tokenizer.model nor vocab.txt; copy the one of the original model");
  }
  return Tokenizer(parts);
}

}  // namespace

Tokenizer loadTokenizer(const fs::path& folder) {
  std::vector<SideFile> files;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "vocab.txt", "tokenizer_config.json",
                           "generation_config.json", "added_tokens.json", "config.json"}) {
    if (fs::exists(folder / name)) files.push_back({name, folder / name});
  }
  return load(Files(std::move(files), folder));
}

Tokenizer loadTokenizer(const std::vector<SideFile>& files, const std::optional<std::string>& config_json,
                        const fs::path& model) {
  std::vector<SideFile> all = files;
  if (config_json && findSideFile(files, "config.json") == nullptr) all.push_back({"config.json", model, config_json});
  return load(Files(std::move(all), model));
}

}  // namespace nib::model
