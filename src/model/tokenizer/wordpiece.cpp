#include "model/tokenizer/wordpiece.h"

#include <algorithm>
#include <utility>

namespace nib::model {
namespace {

bool isInside(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

}  // namespace

WordPiece::WordPiece(const Vocabulary& vocabulary, WordPieceOptions options)
    : vocabulary_(vocabulary), options_(std::move(options)) {
  for (uint32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string* text = vocabulary.text(id);
    if (text != nullptr) longest_ = std::max(longest_, text->size());
  }
}

void WordPiece::encode(std::string_view word, std::vector<uint32_t>& ids) const {
  const auto characters = size_t(word.size()) - size_t(std::count_if(word.begin(), word.end(), isInside));
  const size_t first = ids.size();
  const auto unknown = [&] {
    ids.resize(first);
    ids.push_back(options_.unknown);
  };
  if (characters > options_.max_characters) return unknown();
  std::string text;
  for (size_t at = 0; at < word.size();) {
    size_t size = std::min(word.size() - at, longest_);
    for (; size > 0; --size) {
      if (at + size < word.size() && isInside(word[at + size])) continue;
      text = at == 0 ? "" : options_.prefix;
      text += word.substr(at, size);
      const auto id = vocabulary_.find(text);
      if (!id) continue;
      ids.push_back(*id);
      break;
    }
    if (size == 0) return unknown();
    at += size;
  }
}

}  // namespace nib::model
