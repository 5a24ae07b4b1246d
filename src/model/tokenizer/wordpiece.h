// The WordPiece model of BERT: the longest token that begins a word, then the longest that continues it, and so on.
#ifndef NIB_MODEL_TOKENIZER_WORDPIECE_H
#define NIB_MODEL_TOKENIZER_WORDPIECE_H

#include "model/tokenizer/vocabulary.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

struct WordPieceOptions {
  std::string prefix = "##";      // of tokens that continue a word
  uint32_t unknown = 0;           // an id of the vocabulary
  uint32_t max_characters = 100;  // a longer word is unknown
};

class WordPiece {
 public:
  // vocabulary: must outlive this.
  WordPiece(const Vocabulary& vocabulary, WordPieceOptions options);
  // Appends the ids of a word, which is valid UTF-8. A word with a part that is no token is unknown as a whole.
  void encode(std::string_view word, std::vector<uint32_t>& ids) const;

 private:
  const Vocabulary& vocabulary_;
  WordPieceOptions options_;
  size_t longest_ = 0;  // token, in bytes
};

}  // namespace nib::model
#endif
