#include "model/tokenizer/decoder.h"

#include "model/archive/error.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/pattern.h"
#include "model/tokenizer/text.h"

#include <algorithm>
#include <utility>

namespace nib::model {
namespace {

// Tokens of bytes become text where a run of them is UTF-8; otherwise each of the run is a U+FFFD.
class ByteFallbackStage : public DecodeStage {
 public:
  void push(std::string token, const Next& next) override {
    if (const auto byte = byteOfToken(token)) {
      run_ += static_cast<char>(*byte);
      return;
    }
    finish(next);
    next(std::move(token));
  }
  void finish(const Next& next) override {
    if (run_.empty()) return;
    if (findInvalidUtf8(run_) == std::string::npos) {
      next(std::move(run_));
    } else {
      for (size_t i = 0; i < run_.size(); ++i) next(std::string(kReplacement));
    }
    run_.clear();
  }

 private:
  std::string run_;
};

// Characters of GPT-2's table become bytes. A token with another character is its own text.
class ByteLevelStage : public DecodeStage {
 public:
  void push(std::string token, const Next& next) override {
    std::string bytes;
    for (size_t at = 0; at < token.size();) {
      const Utf8Char c = decodeUtf8(std::string_view(token).substr(at));
      const auto byte = byteOfCharacter(c.code);
      if (!byte) {
        bytes = token;
        break;
      }
      bytes += static_cast<char>(*byte);
      at += c.size;
    }
    held_ += bytes;
    std::string text;
    held_.erase(0, appendUtf8(text, held_, true));
    if (!text.empty()) next(std::move(text));
  }
  void finish(const Next& next) override {
    if (!held_.empty()) next(validUtf8(held_));
    held_.clear();
  }

 private:
  std::string held_;
};

class ReplaceStage : public DecodeStage {
 public:
  ReplaceStage(Pattern pattern, std::string to) : pattern_(std::move(pattern)), to_(std::move(to)) {}
  void push(std::string token, const Next& next) override {
    std::string out;
    for (const TextRange& range : pattern_.divide(token)) {
      out += range.is_match ? to_ : token.substr(range.begin, range.end - range.begin);
    }
    next(std::move(out));
  }

 private:
  Pattern pattern_;
  std::string to_;
};

// Marks become spaces, except in the first token if encoding puts one in front.
class MetaspaceStage : public DecodeStage {
 public:
  MetaspaceStage(std::string mark, bool strips) : mark_(std::move(mark)), strips_(strips) {}
  void push(std::string token, const Next& next) override {
    next(replaced(token, mark_, strips_ && is_first_ ? "" : " "));
    is_first_ = false;
  }

 private:
  std::string mark_;
  bool strips_;
  bool is_first_ = true;
};

size_t countAtStart(std::string_view text, std::string_view part, size_t most) {
  size_t count = 0;
  while (count < most && text.substr(count * part.size()).starts_with(part)) ++count;
  return count;
}

// Removes up to `start` characters `content` from the beginning and up to `stop` from the end of every token, or of the
// whole text after Fuse.
class StripStage : public DecodeStage {
 public:
  StripStage(std::string content, size_t start, size_t stop, bool is_fused)
      : content_(std::move(content)), start_(start), stop_(stop), is_fused_(is_fused), left_(start) {}

  void push(std::string token, const Next& next) override {
    if (!is_fused_) left_ = start_;
    if (left_ > 0 && !token.empty()) {
      const size_t count = countAtStart(token, content_, left_);
      token.erase(0, count * content_.size());
      left_ = token.empty() ? left_ - count : 0;
    }
    if (!is_fused_) {
      token.resize(token.size() - countAtEnd(token) * content_.size());
      next(std::move(token));
      return;
    }
    token.insert(0, held_);
    const size_t held = countAtEnd(token) * content_.size();
    held_ = token.substr(token.size() - held);
    token.resize(token.size() - held);
    if (!token.empty()) next(std::move(token));
  }

 private:
  size_t countAtEnd(std::string_view text) const {
    size_t count = 0;
    while (count < stop_ && text.ends_with(content_)) {
      text.remove_suffix(content_.size());
      ++count;
    }
    return count;
  }

  std::string content_;
  size_t start_, stop_;
  bool is_fused_;
  size_t left_;
  std::string held_;
};

// SentencePiece's own rule: removes the mark that begins the first token, or, of a model that removes extra white
// space, that of every token until there is text.
class FirstMarkStage : public DecodeStage {
 public:
  explicit FirstMarkStage(bool until_text) : until_text_(until_text) {}
  void push(std::string token, const Next& next) override {
    if (is_start_) {
      const bool found = token.starts_with(kSpaceMark);
      if (found) token.erase(0, kSpaceMark.size());
      is_start_ = token.empty() && !(found && !until_text_);
    }
    next(std::move(token));
  }

 private:
  bool until_text_;
  bool is_start_ = true;
};

// The first token as it is, then a space before each.
class JoinStage : public DecodeStage {
 public:
  void push(std::string token, const Next& next) override {
    if (!is_first_) token.insert(0, 1, ' ');
    is_first_ = false;
    next(std::move(token));
  }

 private:
  bool is_first_ = true;
};

// A token that continues a word joins it; a space comes before each other one but the first. cleanup: without the
// spaces that English has not.
class WordPieceStage : public DecodeStage {
 public:
  WordPieceStage(std::string prefix, bool cleanup) : prefix_(std::move(prefix)), cleanup_(cleanup) {}
  void push(std::string token, const Next& next) override {
    if (!is_first_) {
      if (token.starts_with(prefix_)) {
        token.erase(0, prefix_.size());
      } else {
        token.insert(0, 1, ' ');
      }
    }
    is_first_ = false;
    if (cleanup_) {
      static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
          {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
          {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
      for (const auto& [from, to] : kRules) token = replaced(token, from, to);
    }
    next(std::move(token));
  }

 private:
  std::string prefix_;
  bool cleanup_;
  bool is_first_ = true;
};

template <class Stage, class... Arguments>
auto maker(Arguments... arguments) {
  return [=]() -> std::unique_ptr<DecodeStage> { return std::make_unique<Stage>(arguments...); };
}

bool isOneCharacter(std::string_view text) { return !text.empty() && decodeUtf8(text).size == text.size(); }

}  // namespace

Decoder::Decoder() { makers_.emplace_back(maker<JoinStage>()); }

Decoder::Decoder(const JsonNode& node) {
  bool is_fused = false;
  add(node, is_fused);
}

Decoder Decoder::sentencePiece(bool adds_prefix, bool removes_space) {
  Decoder decoder{Empty()};
  if (adds_prefix || removes_space) decoder.makers_.emplace_back(maker<FirstMarkStage>(removes_space));
  decoder.makers_.emplace_back(maker<ReplaceStage>(Pattern::literal(kSpaceMark), std::string(" ")));
  decoder.makers_.emplace_back(maker<ByteFallbackStage>());
  return decoder;
}

void Decoder::add(const JsonNode& node, bool& is_fused) {
  const std::string& type = node.type();
  const auto beforeFuse = [&] {
    if (is_fused) node.fail("the decoder " + quoteText(type) + " after Fuse or ByteLevel is not supported");
  };
  if (type == "Sequence") {
    node.allow({"decoders"});
    for (const JsonNode& child : node.at("decoders").list()) add(child, is_fused);
  } else if (type == "Fuse") {
    is_fused = true;
  } else if (type == "ByteLevel") {
    node.allow({"add_prefix_space", "trim_offsets", "use_regex"});
    beforeFuse();
    makers_.emplace_back(maker<ByteLevelStage>());
    is_fused = true;
  } else if (type == "ByteFallback") {
    beforeFuse();
    makers_.emplace_back(maker<ByteFallbackStage>());
  } else if (type == "Metaspace") {
    node.allow({"replacement", "prepend_scheme", "add_prefix_space", "split", "str_rep"});
    beforeFuse();
    const std::string mark = node.find("replacement") ? node.at("replacement").text() : std::string(kSpaceMark);
    if (mark.empty()) node.fail("has an empty replacement");
    const auto scheme = node.find("prepend_scheme");
    const bool strips = scheme ? scheme->text() != "never" : node.boolean("add_prefix_space", true);
    makers_.emplace_back(maker<MetaspaceStage>(mark, strips));
  } else if (type == "WordPiece") {
    node.allow({"prefix", "cleanup"});
    beforeFuse();
    makers_.emplace_back(maker<WordPieceStage>(node.at("prefix").text(), node.boolean("cleanup", true)));
  } else if (type == "Replace") {
    node.allow({"pattern", "content"});
    const JsonNode pattern = node.at("pattern");
    const auto text = pattern.find("String");
    if (!text) pattern.fail("of a decoder, only \"String\" is supported");
    if (text->text().empty()) text->fail("is empty");
    // A longer one could lie across two pieces.
    if (is_fused && !isOneCharacter(text->text())) beforeFuse();
    makers_.emplace_back(maker<ReplaceStage>(Pattern::literal(text->text()), node.at("content").text()));
  } else if (type == "Strip") {
    node.allow({"content", "start", "stop"});
    const JsonNode content = node.at("content");
    if (!isOneCharacter(content.text())) content.fail("expected one character");
    makers_.emplace_back(
        maker<StripStage>(content.text(), size_t{node.at("start").whole()}, size_t{node.at("stop").whole()}, is_fused));
  } else {
    node.fail("the decoder " + quoteText(type) + " is not supported");
  }
}

std::vector<std::unique_ptr<DecodeStage>> Decoder::stages() const {
  std::vector<std::unique_ptr<DecodeStage>> stages;
  for (const auto& make : makers_) stages.push_back(make());
  return stages;
}

}  // namespace nib::model
