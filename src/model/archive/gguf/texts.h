// The texts of the Hugging Face layout, made from the metadata of a GGUF file.
#ifndef NIB_MODEL_ARCHIVE_GGUF_TEXTS_H
#define NIB_MODEL_ARCHIVE_GGUF_TEXTS_H

#include "model/archive/gguf/header.h"
#include "model/archive/gguf/names.h"
#include "model/archive/tensor_source.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

// Facts of the network that the tensors tell.
struct GgufNetworkFacts {
  uint64_t vocabulary = 0;  // rows of the embedding
  bool tied = false;        // there is no head
  bool biased = false;      // queries have a bias
  std::vector<float> rope_divisors = {};
  std::vector<float> rope_short = {}, rope_long = {};  // of LongRoPE
};

// config.json. Throws if a value is missing, or nibble knows no key for what the file says.
std::string ggufConfigText(const GgufHeader& header, const GgufFamily& family, const GgufNetworkFacts& facts);

// tokenizer.json or tokenizer.model, and tokenizer_config.json. Empty if the file has no tokens; a tokenizer that
// nibble cannot express is a note.
std::vector<TextFile> ggufTokenizerTexts(const GgufHeader& header, std::vector<std::string>& notes);

}  // namespace nib::model
#endif
