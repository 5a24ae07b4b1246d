// The pre-tokenizers of tokenizer.json: they divide a normalized text into words, each of which the model encodes
// alone.
#ifndef NIB_MODEL_TOKENIZER_PRE_TOKENIZER_H
#define NIB_MODEL_TOKENIZER_PRE_TOKENIZER_H

#include "model/tokenizer/json_tree.h"

#include <functional>
#include <string>
#include <vector>

namespace nib::model {

// A part of the text.
struct Word {
  std::string text;
  bool is_first = false;  // begins where the whole text begins
};

class PreTokenizer {
 public:
  PreTokenizer() = default;  // leaves the text whole
  // Throws; also for a type that is not implemented, by its name.
  explicit PreTokenizer(const JsonNode& node) { add(node); }

  // The words of `text`, none of them empty.
  std::vector<Word> divide(Word text) const;

  // Whether it maps bytes to characters as GPT-2 does.
  bool hasByteLevel() const { return has_byte_level_; }

 private:
  using Step = std::function<void(Word&, std::vector<Word>&)>;

  void add(const JsonNode& node);

  std::vector<Step> steps_;
  bool has_byte_level_ = false;
};

}  // namespace nib::model
#endif
