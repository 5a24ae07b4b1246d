// A set of byte strings that finds those at the beginning of a text.
#ifndef NIB_MODEL_TOKENIZER_BYTE_TRIE_H
#define NIB_MODEL_TOKENIZER_BYTE_TRIE_H

#include "model/tokenizer/flat_map.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace nib::model {

class ByteTrie {
 public:
  static constexpr uint32_t kNoValue = ~uint32_t{0};

  ByteTrie() : values_(1, kNoValue) {}

  // Returns false, and changes nothing, if the string is in the set.
  bool add(std::string_view text, uint32_t value) {
    uint32_t node = 0;
    for (const char c : text) {
      const uint64_t key = keyOf(node, c);
      if (const uint32_t* child = children_.get(key)) {
        node = *child;
      } else {
        node = uint32_t(values_.size());
        values_.push_back(kNoValue);
        children_.set(key, node);
      }
    }
    if (values_[node] != kNoValue) return false;
    values_[node] = value;
    return true;
  }

  // Calls found(length, value) for each string at the beginning of `text`, the shortest first.
  template <class Found>
  void prefixes(std::string_view text, Found&& found) const {
    uint32_t node = 0;
    for (size_t at = 0; at < text.size();) {
      const uint32_t* child = children_.get(keyOf(node, text[at]));
      if (child == nullptr) return;
      node = *child;
      ++at;
      if (values_[node] != kNoValue) found(at, values_[node]);
    }
  }

 private:
  static uint64_t keyOf(uint32_t node, char c) { return uint64_t{node} << 8 | static_cast<unsigned char>(c); }

  FlatMap<uint32_t> children_;
  std::vector<uint32_t> values_;
};

}  // namespace nib::model
#endif
