#include "model/tokenizer/tokenizer.h"

#include "model/archive/error.h"
#include "model/archive/utf8.h"
#include "model/tokenizer/parts.h"
#include "model/tokenizer/text.h"

#include <algorithm>
#include <utility>

namespace nib::model {

const std::string* TokenizerParts::text(uint32_t id) const {
  const std::string* text = added.text(id);
  return text != nullptr ? text : vocabulary.text(id);
}

std::optional<uint32_t> TokenizerParts::find(std::string_view token) const {
  const auto id = added.find(token);
  return id ? id : vocabulary.find(token);
}

void TokenizerParts::addTokens(std::vector<AddedToken> tokens, const std::string& place) {
  for (const AddedToken& token : tokens) {
    const auto refuse = [&](const std::string& problem) {
      throw Error(place + ": token " + quoteText(token.content) + " " + problem);
    };
    if (token.content.empty()) refuse("is empty");
    const auto id = std::to_string(token.id);
    if (const auto known = vocabulary.find(token.content)) {
      if (*known != token.id) refuse("has the id " + id + ", but " + std::to_string(*known) + " in the vocabulary");
    } else if (const std::string* other = vocabulary.text(token.id)) {
      refuse("has the id " + id + ", which is also that of " + quoteText(*other));
    } else if (!added.add(token.content, token.id)) {
      if (added.find(token.content)) refuse("is added twice");
      refuse("has the id " + id + ", which is also that of " + quoteText(*added.text(token.id)));
    }
    if (token.id >= special.size()) special.resize(size_t(token.id) + 1);
    if (token.special) special[token.id] = true;
  }
  // Special tokens come first, because the first of those with the same text is found.
  std::stable_partition(tokens.begin(), tokens.end(), [](const AddedToken& token) { return token.special; });
  for (AddedToken& token : tokens) {
    const std::string content = token.content;
    if (token.normalized) {
      normalized.add(std::move(token), normalizer.apply(content));
    } else {
      raw.add(std::move(token), content);
    }
  }
}

std::vector<uint32_t> Tokenizer::encode(std::string_view text, bool add_special, bool find_special) const {
  const TokenizerParts& parts = *parts_;
  std::string repaired;
  if (findInvalidUtf8(text) != std::string_view::npos) {
    repaired = validUtf8(text);
    text = repaired;
  }
  std::vector<uint32_t> ids;
  if (add_special) ids = parts.before;
  Bpe::Cache cache;
  for (const AddedTokens::Part& part : parts.raw.divide(text, find_special)) {
    if (part.id) {
      ids.push_back(*part.id);
      continue;
    }
    const bool is_first = part.text.data() == text.data();
    std::string changed;
    std::string_view rest = part.text;
    if (!parts.normalizer.isEmpty()) {
      changed = parts.normalizer.apply(rest);
      rest = changed;
    }
    for (const AddedTokens::Part& piece : parts.normalized.divide(rest, find_special)) {
      if (piece.id) {
        ids.push_back(*piece.id);
        continue;
      }
      const bool begins = is_first && piece.text.data() == rest.data();
      if (parts.sentencepiece) {
        parts.sentencepiece->encode(piece.text, parts.prefix_everywhere || begins, ids);
        continue;
      }
      for (const Word& word : parts.pre_tokenizer.divide({std::string(piece.text), begins})) {
        if (parts.bpe) {
          parts.bpe->encode(word.text, cache, ids);
        } else if (parts.wordpiece) {
          parts.wordpiece->encode(word.text, ids);
        } else {
          parts.unigram->encode(word.text, ids);
        }
      }
    }
  }
  if (add_special) ids.insert(ids.end(), parts.after.begin(), parts.after.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const uint32_t> ids, bool skip_special) const {
  TextStream stream(*this, skip_special);
  std::string text;
  for (const uint32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

uint32_t Tokenizer::size() const { return std::max(parts_->vocabulary.size(), parts_->added.size()); }
const std::string* Tokenizer::token(uint32_t id) const { return parts_->text(id); }
std::optional<uint32_t> Tokenizer::find(std::string_view token) const { return parts_->find(token); }
bool Tokenizer::isSpecial(uint32_t id) const { return id < parts_->special.size() && parts_->special[id]; }
std::optional<uint32_t> Tokenizer::bos() const { return parts_->bos; }
std::optional<uint32_t> Tokenizer::eos() const { return parts_->eos; }
std::optional<uint32_t> Tokenizer::mask() const { return parts_->mask; }
const std::vector<uint32_t>& Tokenizer::stopIds() const { return parts_->stop_ids; }
const std::vector<uint32_t>& Tokenizer::before() const { return parts_->before; }
const std::vector<uint32_t>& Tokenizer::after() const { return parts_->after; }

TextStream::TextStream(Tokenizer tokenizer, bool skip_special)
    : tokenizer_(std::move(tokenizer)), skip_special_(skip_special), stages_(tokenizer_.parts().decoder.stages()) {}
TextStream::~TextStream() = default;
TextStream::TextStream(TextStream&&) noexcept = default;
TextStream& TextStream::operator=(TextStream&&) noexcept = default;

void TextStream::pass(size_t stage, std::string text, std::string& out) {
  if (stage == stages_.size()) {
    out += text;
  } else {
    stages_[stage]->push(std::move(text), [&](std::string next) { pass(stage + 1, std::move(next), out); });
  }
}

std::string TextStream::push(uint32_t id) {
  std::string out;
  const std::string* token = tokenizer_.token(id);
  if (token != nullptr && !(skip_special_ && tokenizer_.isSpecial(id))) pass(0, *token, out);
  return out;
}

std::string TextStream::finish() {
  std::string out;
  for (size_t stage = 0; stage < stages_.size(); ++stage) {
    stages_[stage]->finish([&](std::string next) { pass(stage + 1, std::move(next), out); });
  }
  stages_ = tokenizer_.parts().decoder.stages();
  return out;
}

}  // namespace nib::model
