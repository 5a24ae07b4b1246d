// tokenizer.json of the tokenizers library.
#include "model/archive/error.h"
#include "model/archive/posix_file.h"
#include "model/tokenizer/json_tree.h"
#include "model/tokenizer/parts.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace nib::model {
namespace {

constexpr uint64_t kMaxFileBytes = uint64_t{512} << 20;

// The member "model". Its lists can have a million entries, so they become no tree.
struct ModelMember {
  JsonTree settings;
  bool has_vocab = false;
  bool is_list = false;  // Unigram's
  std::vector<double> scores;
  bool has_merges = false;
  std::vector<std::pair<std::string_view, std::string_view>> merges;  // into the file's text
};

class Reader {
 public:
  Reader(const SideFile& file, const std::string& where, TokenizerParts& parts)
      : place_(where + ": "),
        text_(contentOf(file, kMaxFileBytes)),
        scanner_(text_, where, "the file"),
        parts_(parts) {}

  void run() {
    readMembers();
    const JsonNode root(root_, place_);
    if (const auto version = root.find("version"); version && version->text() != "1.0") {
      version->fail("is " + quoteText(version->text()) + ", only \"1.0\" is supported");
    }
    // truncation and padding are a user's settings of another program, not the model's.
    root.allow({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                "decoder"});
    if (const auto node = root.find("normalizer")) parts_.normalizer = Normalizer(*node);
    if (const auto node = root.find("pre_tokenizer")) parts_.pre_tokenizer = PreTokenizer(*node);
    if (const auto node = root.find("decoder")) parts_.decoder = Decoder(*node);
    if (!model_) root.fail("has no \"model\"");
    buildModel();
    std::vector<AddedToken> added;
    if (const auto list = root.find("added_tokens")) {
      for (const JsonNode& node : list->list()) added.push_back(readAddedToken(node, node.at("id").whole()));
    }
    parts_.addTokens(std::move(added), place_ + "added_tokens");
    if (const auto node = root.find("post_processor")) addPostProcessor(*node);
  }

 private:
  void readMembers() {
    root_.kind = JsonTree::Kind::kObject;
    std::set<std::string> keys;
    std::string_view key;
    for (bool first = true; scanner_.nextKey(first, key);) {
      const std::string name(key);
      if (!keys.insert(name).second) scanner_.fail("the key " + quoteText(name) + " appears twice");
      if (name == "model") {
        model_.emplace();
        readModel(*model_);
      } else {
        root_.object.emplace_back(name, readJsonTree(scanner_, text_.data()));
      }
    }
    scanner_.finish(true);
  }

  void readModel(ModelMember& model) {
    model.settings.kind = JsonTree::Kind::kObject;
    std::set<std::string> keys;
    std::string_view key;
    for (bool first = true; scanner_.nextKey(first, key);) {
      const auto once = [&](bool& seen) {
        if (std::exchange(seen, true)) scanner_.fail("the key " + quoteText(key) + " appears twice");
      };
      if (key == "vocab") {
        once(model.has_vocab);
        model.is_list = scanner_.peek() == '[';
        if (model.is_list) {
          readScores(model.scores);
        } else {
          readIds();
        }
      } else if (key == "merges") {
        once(model.has_merges);
        readMerges(model.merges);
      } else {
        const std::string name(key);
        if (!keys.insert(name).second) scanner_.fail("the key " + quoteText(name) + " appears twice");
        model.settings.object.emplace_back(name, readJsonTree(scanner_, text_.data()));
      }
    }
  }

  void readIds() {
    std::string_view token;
    for (bool first = true; scanner_.nextKey(first, token);) {
      scanner_.about("token", token);
      const uint64_t id = scanner_.number("its id");
      if (id >= kMaxTokens) scanner_.fail("its id is " + std::to_string(kMaxTokens) + " or more");
      if (!parts_.vocabulary.add(token, uint32_t(id))) {
        const std::string* other = parts_.vocabulary.text(uint32_t(id));
        if (parts_.vocabulary.find(token)) scanner_.fail("appears twice in the vocabulary");
        scanner_.fail("has the id " + std::to_string(id) + ", which is also that of " + quoteText(*other));
      }
      scanner_.about(nullptr, {});
    }
  }

  void readScores(std::vector<double>& scores) {
    for (bool first = true; scanner_.nextElement(first);) {
      bool inner = true;
      if (!scanner_.nextElement(inner)) scanner_.fail("expected a token and its score");
      const std::string token(scanner_.string("a token"));
      if (!scanner_.nextElement(inner)) scanner_.fail("expected the score of a token");
      scores.push_back(readJsonNumber(scanner_, text_.data()));
      if (scanner_.nextElement(inner)) scanner_.fail("expected a token and its score only");
      if (scores.size() > kMaxTokens) scanner_.fail("the vocabulary is too large");
      if (!parts_.vocabulary.add(token, uint32_t(scores.size() - 1))) {
        scanner_.fail("token " + quoteText(token) + " appears twice in the vocabulary");
      }
    }
  }

  // "a b", or, since tokens may contain spaces, ["a", "b"].
  void readMerges(std::vector<std::pair<std::string_view, std::string_view>>& merges) {
    for (bool first = true; scanner_.nextElement(first);) {
      if (scanner_.peek() != '[') {
        const std::string_view both = scanner_.string("a merge");
        const size_t space = both.find(' ');
        if (space == both.npos || both.find(' ', space + 1) != both.npos) {
          scanner_.fail("the merge " + quoteText(both) + " is not two tokens with a space between");
        }
        merges.emplace_back(both.substr(0, space), both.substr(space + 1));
        continue;
      }
      bool inner = true;
      if (!scanner_.nextElement(inner)) scanner_.fail("expected a merge of two tokens");
      const std::string_view left = scanner_.string("the left token of a merge");
      if (!scanner_.nextElement(inner)) scanner_.fail("expected a merge of two tokens");
      const std::string_view right = scanner_.string("the right token of a merge");
      if (scanner_.nextElement(inner)) scanner_.fail("expected a merge of two tokens");
      merges.emplace_back(left, right);
    }
  }

  void buildModel() {
    const JsonNode node(model_->settings, place_ + "model");
    const auto type_node = node.find("type");
    // Old files do not say it.
    const std::string type = type_node            ? type_node->text()
                             : model_->has_merges ? "BPE"
                             : model_->is_list    ? "Unigram"
                                                  : "?";
    if (type != "BPE" && type != "Unigram" && type != "WordPiece")
      node.fail("the model type " + quoteText(type) + " is not supported");
    if (!model_->has_vocab) node.fail("has no \"vocab\"");
    if (model_->is_list != (type == "Unigram")) node.fail("its \"vocab\" is not that of the type " + type);
    if (type == "BPE") {
      buildBpe(node);
    } else if (type == "WordPiece") {
      buildWordPiece(node);
    } else {
      buildUnigram(node);
    }
  }

  void buildBpe(const JsonNode& node) {
    node.allow({"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback",
                "ignore_merges"});
    if (const auto dropout = node.find("dropout"); dropout && dropout->number() != 0) {
      dropout->fail("is not 0, so that ids would be random");
    }
    if (!model_->has_merges) node.fail("has no \"merges\"");
    BpeOptions options;
    if (const auto unknown = node.find("unk_token")) {
      options.unknown = parts_.vocabulary.find(unknown->text());
      if (!options.unknown) unknown->fail("is not a token of the vocabulary");
    }
    options.fuse_unknown = node.boolean("fuse_unk", false);
    options.byte_fallback = node.boolean("byte_fallback", false);
    options.ignore_merges = node.boolean("ignore_merges", false);
    if (const auto prefix = node.find("continuing_subword_prefix")) options.prefix = prefix->text();
    if (const auto suffix = node.find("end_of_word_suffix")) options.suffix = suffix->text();
    Bpe& bpe = parts_.bpe.emplace(parts_.vocabulary, std::move(options));
    bpe.reserveMerges(model_->merges.size());
    for (size_t i = 0; i < model_->merges.size(); ++i) {
      const auto& [left, right] = model_->merges[i];
      if (bpe.addMerge(left, right)) continue;
      node.fail("merge " + std::to_string(i) + " of " + quoteText(left) + " and " + quoteText(right) +
                " has a part or a product that is not in the vocabulary");
    }
  }

  void buildWordPiece(const JsonNode& node) {
    node.allow({"unk_token", "continuing_subword_prefix", "max_input_chars_per_word"});
    if (model_->has_merges) node.fail("has merges, which a WordPiece model has not");
    WordPieceOptions options;
    const JsonNode unknown = node.at("unk_token");
    const auto id = parts_.vocabulary.find(unknown.text());
    if (!id) unknown.fail("is not a token of the vocabulary");
    options.unknown = *id;
    if (const auto prefix = node.find("continuing_subword_prefix")) options.prefix = prefix->text();
    if (const auto most = node.find("max_input_chars_per_word")) options.max_characters = most->whole();
    parts_.wordpiece.emplace(parts_.vocabulary, std::move(options));
  }

  void buildUnigram(const JsonNode& node) {
    node.allow({"unk_id", "byte_fallback"});
    if (model_->has_merges) node.fail("has merges, which a Unigram model has not");
    const auto unknown = node.find("unk_id");
    if (!unknown) node.fail("has no \"unk_id\"");
    if (unknown->whole() >= model_->scores.size()) unknown->fail("is not an id of the vocabulary");
    parts_.unigram.emplace(parts_.vocabulary, std::move(model_->scores), unknown->whole(),
                           node.boolean("byte_fallback", false));
  }

  void addPostProcessor(const JsonNode& node) {
    const std::string& type = node.type();
    if (type == "Sequence") {
      node.allow({"processors"});
      for (const JsonNode& child : node.at("processors").list()) addPostProcessor(child);
    } else if (type == "ByteLevel") {
      // It only changes the reported offsets of tokens.
    } else if (type == "TemplateProcessing") {
      node.allow({"single", "pair", "special_tokens"});
      addTemplate(node);
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      node.allow({"sep", "cls", "trim_offsets", "add_prefix_space"});
      const auto idOf = [&](const char* key) {
        const std::vector<JsonNode> pair = node.at(key).list();
        if (pair.size() != 2) node.at(key).fail("expected a token and its id");
        return checkedId(pair[1], pair[0].text());
      };
      setAround(node, {idOf("cls")}, {idOf("sep")});
    } else {
      node.fail("the post_processor " + quoteText(type) + " is not supported");
    }
  }

  uint32_t checkedId(const JsonNode& id, const std::string& token) const {
    const std::string* text = parts_.text(id.whole());
    if (text == nullptr || *text != token) id.fail("is not the id of the token " + quoteText(token));
    return id.whole();
  }

  void setAround(const JsonNode& node, std::vector<uint32_t> before, std::vector<uint32_t> after) {
    if (!parts_.before.empty() || !parts_.after.empty()) node.fail("a second post_processor adds tokens");
    parts_.before = std::move(before);
    parts_.after = std::move(after);
  }

  void addTemplate(const JsonNode& node) {
    std::map<std::string, std::vector<uint32_t>, std::less<>> ids;
    if (const auto special = node.find("special_tokens")) {
      for (const auto& [name, token] : special->members()) {
        const std::vector<JsonNode> list = token.at("ids").list(), texts = token.at("tokens").list();
        if (list.size() != texts.size()) token.fail("has other numbers of ids and tokens");
        for (size_t i = 0; i < list.size(); ++i) ids[name].push_back(checkedId(list[i], texts[i].text()));
      }
    }
    std::vector<uint32_t> before, after;
    bool has_text = false;
    for (const JsonNode& item : node.at("single").list()) {
      if (const auto sequence = item.find("Sequence")) {
        if (sequence->at("id").text() != "A" || std::exchange(has_text, true))
          item.fail("expected the text once, as A");
        continue;
      }
      const std::string& name = item.at("SpecialToken").at("id").text();
      const auto found = ids.find(name);
      if (found == ids.end()) item.fail("has the token " + quoteText(name) + " that special_tokens lacks");
      std::vector<uint32_t>& to = has_text ? after : before;
      to.insert(to.end(), found->second.begin(), found->second.end());
    }
    if (!has_text) node.fail("has no text");
    if (!before.empty() || !after.empty()) setAround(node, std::move(before), std::move(after));
  }

  std::string place_;
  std::vector<char> text_;
  JsonScanner scanner_;
  TokenizerParts& parts_;
  JsonTree root_;
  std::optional<ModelMember> model_;
};

}  // namespace

AddedToken readAddedToken(const JsonNode& node, uint32_t id) {
  node.allow({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
  AddedToken token;
  token.id = id;
  if (id >= kMaxTokens) node.fail("its id is " + std::to_string(kMaxTokens) + " or more");
  token.content = node.at("content").text();
  token.single_word = node.boolean("single_word", false);
  token.lstrip = node.boolean("lstrip", false);
  token.rstrip = node.boolean("rstrip", false);
  token.special = node.boolean("special", false);
  token.normalized = node.boolean("normalized", !token.special);
  return token;
}

void readTokenizerJson(const SideFile& file, const std::string& where, TokenizerParts& parts) {
  Reader(file, where, parts).run();
}

}  // namespace nib::model
