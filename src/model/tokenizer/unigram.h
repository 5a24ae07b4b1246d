// The Unigram model of tokenizer.json: the division of a word with the highest sum of scores.
#ifndef NIB_MODEL_TOKENIZER_UNIGRAM_H
#define NIB_MODEL_TOKENIZER_UNIGRAM_H

#include "model/tokenizer/byte_trie.h"
#include "model/tokenizer/vocabulary.h"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace nib::model {

class Unigram {
 public:
  // vocabulary: must outlive this. scores: by id, for every token. unknown: an id of the vocabulary.
  Unigram(const Vocabulary& vocabulary, std::vector<double> scores, uint32_t unknown, bool byte_fallback);

  // Appends the ids of a word, which is valid UTF-8.
  void encode(std::string_view word, std::vector<uint32_t>& ids) const;

 private:
  const Vocabulary& vocabulary_;
  ByteTrie trie_;
  std::vector<double> scores_;
  double unknown_score_ = 0;
  uint32_t unknown_;
  bool byte_fallback_ = false;
  std::array<uint32_t, 256> bytes_{};
};

}  // namespace nib::model
#endif
