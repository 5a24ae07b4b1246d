// The token ids of a file: text, JSON lines, or ids that were computed before.
#ifndef NIB_MODEL_TOKENIZER_INPUTS_H
#define NIB_MODEL_TOKENIZER_INPUTS_H

#include "model/tokenizer/tokenizer.h"

#include <cstdint>
#include <filesystem>
#include <vector>

namespace nib::model {

struct TokenInput {
  std::vector<uint32_t> ids;
  // The length of the equally long sequences that follow one another in `ids`; 0 = they are one text.
  uint64_t row_tokens = 0;
};

// Reads a file by the ending of its name. Throws.
//   .npy     uint16, uint32, int32 or int64 ids, one dimension or two (rows are sequences). Needs no tokenizer.
//   .jsonl   one object a line; its member "text" is a document. Documents are joined by an empty line ("\n\n") and
//            encoded as one text. Empty lines of the file are ignored.
//   others   UTF-8 text, which is encoded as a whole.
// tokenizer: NULL = only .npy can be read. Ids are not compared with the size of the vocabulary.
TokenInput loadTokens(const std::filesystem::path& path, const Tokenizer* tokenizer, bool add_special = true);

// The same for an encoder: a text's ids are cut into pieces, each with the special tokens around it, `piece` tokens
// with them; the last may be shorter. Throws.
TokenInput loadPieces(const std::filesystem::path& path, const Tokenizer* tokenizer, uint64_t piece);

// The texts of an encoder, each with the special tokens around it: a row of .npy, a line of .jsonl, or a piece. Throws
// if a text has more than `longest` tokens.
std::vector<std::vector<uint32_t>> loadTexts(const std::filesystem::path& path, const Tokenizer* tokenizer,
                                             uint64_t longest);

}  // namespace nib::model
#endif
