// Byte pair encoding with a list of merges, as tokenizer.json defines it.
#ifndef NIB_MODEL_TOKENIZER_BPE_H
#define NIB_MODEL_TOKENIZER_BPE_H

#include "model/tokenizer/flat_map.h"
#include "model/tokenizer/vocabulary.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nib::model {

struct BpeOptions {
  std::optional<uint32_t> unknown;  // for characters that are not in the vocabulary
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  std::string prefix;          // of symbols that do not begin a word
  std::string suffix;          // of the symbol that ends a word
};

class Bpe {
 public:
  using Cache = std::unordered_map<std::string, std::vector<uint32_t>>;

  // vocabulary: must outlive this.
  Bpe(const Vocabulary& vocabulary, BpeOptions options);

  // Adds the merge of the next rank; one that was added before gets the new rank. Returns false if one of the parts or
  // their product is not in the vocabulary.
  bool addMerge(std::string_view left, std::string_view right);
  void reserveMerges(size_t count) { merges_.reserve(count); }

  // Appends the ids of a word, which is valid UTF-8 and not empty. The cache belongs to this object. Throws if there is
  // no token for a character.
  void encode(const std::string& word, Cache& cache, std::vector<uint32_t>& ids) const;

 private:
  struct Merge {
    uint32_t rank = 0;
    uint32_t product = 0;
  };
  struct Symbol {
    uint32_t id;
    uint32_t before;  // kNone at the ends
    uint32_t next;
    bool is_used;
  };
  static constexpr uint32_t kNone = ~uint32_t{0};

  std::vector<uint32_t> symbolsOf(std::string_view word) const;
  void merge(std::vector<uint32_t>& ids) const;
  const Merge* find(uint32_t left, uint32_t right) const { return merges_.get(uint64_t{left} << 32 | right); }

  const Vocabulary& vocabulary_;
  BpeOptions options_;
  FlatMap<Merge> merges_;
  uint32_t next_rank_ = 0;
  std::array<std::optional<uint32_t>, 256> bytes_;
};

}  // namespace nib::model
#endif
