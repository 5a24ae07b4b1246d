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
  explicit Config(const fs::path& path) : place_(shown(path) + ": ") {
    tree_.kind = JsonTree::Kind::kObject;
    if (fs::exists(path)) tree_ = readJsonFile(path, kMaxConfigBytes);
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

struct Configs {
  explicit Configs(const fs::path& folder)
      : tokenizer(folder / "tokenizer_config.json"),
        generation(folder / "generation_config.json"),
        model(folder / "config.json") {}
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

void loadSentencePiece(const fs::path& folder, const Configs& configs, TokenizerParts& parts) {
  const SentencePiece& model = parts.sentencepiece.emplace(folder / "tokenizer.model");
  parts.vocabulary = model.vocabulary();
  for (uint32_t id = 0; id < parts.vocabulary.size(); ++id) parts.special.push_back(model.isControl(id));
  parts.decoder = Decoder::sentencePiece(model.addsPrefix(), model.removesSpace());
  parts.bos = model.bos();
  parts.eos = model.eos();
  parts.prefix_everywhere = configs.tokenizer.root().boolean("legacy", true);
  addConfigTokens(configs.tokenizer, parts);
  // Older files: a list of its own.
  const Config more(folder / "added_tokens.json");
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

}  // namespace

Tokenizer loadTokenizer(const fs::path& folder) {
  const auto parts = std::make_shared<TokenizerParts>();
  const Configs configs(folder);
  if (fs::exists(folder / "tokenizer.json")) {
    readTokenizerJson(folder / "tokenizer.json", *parts);
    addConfigTokens(configs.tokenizer, *parts);
    setSpecialIds(configs, *parts);
    // Otherwise the post-processor says it.
    if (parts->before.empty() && parts->after.empty()) addAround(configs.tokenizer, false, *parts);
  } else if (fs::exists(folder / "tokenizer.model")) {
    loadSentencePiece(folder, configs, *parts);
  } else {
    throw Error(shown(folder) + ": has neither tokenizer.json nor tokenizer.model; copy the one of the original model");
  }
  return Tokenizer(parts);
}

}  // namespace nib::model
