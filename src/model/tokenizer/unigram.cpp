#include "model/tokenizer/unigram.h"

#include "model/archive/utf8.h"
#include "model/tokenizer/text.h"

#include <algorithm>
#include <utility>

namespace nib::model {

Unigram::Unigram(const Vocabulary& vocabulary, std::vector<double> scores, uint32_t unknown, bool byte_fallback)
    : vocabulary_(vocabulary), scores_(std::move(scores)), unknown_(unknown), byte_fallback_(byte_fallback) {
  for (uint32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string* text = vocabulary.text(id);
    if (text != nullptr && !text->empty()) trie_.add(*text, id);
  }
  // SentencePiece's penalty for unknown characters.
  unknown_score_ = *std::min_element(scores_.begin(), scores_.end()) - 10;
  for (uint32_t byte = 0; byte < 256 && byte_fallback_; ++byte) {
    const auto id = vocabulary.find(byteToken(uint8_t(byte)));
    if (id) {
      bytes_[byte] = *id;
    } else {
      bytes_[byte] = ByteTrie::kNoValue;
    }
  }
}

void Unigram::encode(std::string_view word, std::vector<uint32_t>& ids) const {
  constexpr size_t kNowhere = ~size_t{0};
  // The best way to each position: its last token and where that begins.
  struct Node {
    double score = 0;
    size_t begin = kNowhere;
    uint32_t id = 0;
  };
  std::vector<Node> nodes(word.size() + 1);
  for (size_t at = 0; at < word.size();) {
    const size_t character = decodeUtf8(word.substr(at)).size;
    const double before = nodes[at].score;
    const auto reach = [&](size_t end, double score, uint32_t id) {
      Node& node = nodes[end];
      // The first of equal ways stays.
      if (node.begin == kNowhere || score > node.score) node = {score, at, id};
    };
    bool has_character = false;
    trie_.prefixes(word.substr(at), [&](size_t length, uint32_t id) {
      reach(at + length, scores_[id] + before, id);
      if (length == character) has_character = true;
    });
    if (!has_character) reach(at + character, unknown_score_ + before, unknown_);
    at += character;
  }
  const size_t first = ids.size();
  for (size_t end = word.size(); end > 0;) {
    const Node& node = nodes[end];
    if (node.id != unknown_) {
      ids.push_back(node.id);
      end = node.begin;
      continue;
    }
    // Neighbouring unknown characters are one token.
    size_t begin = node.begin;
    while (begin > 0 && nodes[begin].id == unknown_) begin = nodes[begin].begin;
    const std::string_view text = word.substr(begin, end - begin);
    const auto has = [&](char c) { return bytes_[static_cast<uint8_t>(c)] != ByteTrie::kNoValue; };
    if (const auto id = vocabulary_.find(text)) {
      ids.push_back(*id);  // the unknown token's own text
    } else if (byte_fallback_ && std::all_of(text.begin(), text.end(), has)) {
      for (size_t i = text.size(); i > 0; --i) ids.push_back(bytes_[static_cast<uint8_t>(text[i - 1])]);
    } else {
      ids.push_back(unknown_);
    }
    end = begin;
  }
  std::reverse(ids.begin() + ptrdiff_t(first), ids.end());
}

}  // namespace nib::model
