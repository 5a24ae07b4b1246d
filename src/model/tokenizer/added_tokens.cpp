#include "model/tokenizer/added_tokens.h"

#include "model/archive/utf8.h"
#include "model/tokenizer/pattern.h"
#include "model/tokenizer/text.h"

#include <algorithm>
#include <utility>

namespace nib::model {
namespace {

// Whether a text, which is one character, belongs to a word.
bool isWord(std::string_view character) {
  static const Pattern pattern = Pattern::pcre2(R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d}])");
  const std::vector<TextRange> ranges = pattern.divide(character);
  return !ranges.empty() && ranges[0].is_match;
}

bool isInWord(std::string_view before, std::string_view after) {
  if (!before.empty()) {
    size_t begin = before.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(before[begin]) & 0xc0) == 0x80) --begin;
    if (isWord(before.substr(begin))) return true;
  }
  return !after.empty() && isWord(after.substr(0, decodeUtf8(after).size));
}

}  // namespace

void AddedTokens::add(AddedToken token, std::string_view found_by) {
  if (found_by.empty() || !trie_.add(found_by, uint32_t(tokens_.size()))) return;
  first_bytes_.set(static_cast<unsigned char>(found_by[0]));
  tokens_.push_back(std::move(token));
}

std::vector<AddedTokens::Part> AddedTokens::divide(std::string_view text, bool with_special) const {
  std::vector<Part> parts;
  size_t begin = 0;  // of the text that is not yet in `parts`
  for (size_t at = 0; at < text.size();) {
    if (!first_bytes_.test(static_cast<unsigned char>(text[at]))) {
      ++at;
      continue;
    }
    size_t length = 0;
    uint32_t index = 0;
    trie_.prefixes(text.substr(at), [&](size_t n, uint32_t i) { length = n, index = i; });
    if (length == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[index];
    size_t start = at, stop = at + length;
    at = stop;
    if (token.special && !with_special) continue;
    if (token.single_word && isInWord(text.substr(0, start), text.substr(stop))) continue;
    if (token.lstrip) start = std::max(start - spaceAtEnd(text.substr(0, start)), begin);
    if (token.rstrip) stop += spaceAtStart(text.substr(stop));
    if (begin < start) parts.push_back({text.substr(begin, start - begin), std::nullopt});
    parts.push_back({text.substr(start, stop - start), token.id});
    begin = stop;
  }
  if (begin < text.size()) parts.push_back({text.substr(begin), std::nullopt});
  return parts;
}

}  // namespace nib::model
