// SentencePiece's tokenizer.model, run by its library.
#ifndef NIB_MODEL_TOKENIZER_SENTENCEPIECE_H
#define NIB_MODEL_TOKENIZER_SENTENCEPIECE_H

#include "model/archive/side_files.h"
#include "model/tokenizer/vocabulary.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace nib::model {

class SentencePiece {
 public:
  // Throws. Checks the file first: the library trusts its tables.
  SentencePiece(const SideFile& file, const std::string& where);  // where: begins messages
  ~SentencePiece();
  SentencePiece(SentencePiece&&) noexcept;
  SentencePiece& operator=(SentencePiece&&) noexcept;

  // Appends the ids of a text, which is valid UTF-8. with_prefix: with the space in front that the model wants.
  void encode(std::string_view text, bool with_prefix, std::vector<uint32_t>& ids) const;

  const Vocabulary& vocabulary() const;
  bool isControl(uint32_t id) const;  // or the unknown token
  struct Piece {
    float score = 0;
    uint32_t type = 1;  // 1 normal, 2 unknown, 3 control, 4 defined by the user, 5 unused, 6 a byte
  };
  Piece piece(uint32_t id) const;
  bool isBpe() const;  // else UNIGRAM
  bool addsPrefix() const;
  bool removesSpace() const;  // at the ends, and all but one between words
  std::optional<uint32_t> bos() const;
  std::optional<uint32_t> eos() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nib::model
#endif
