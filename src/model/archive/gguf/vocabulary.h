// The tokenizer of a model as metadata of GGUF.
#ifndef NIB_MODEL_ARCHIVE_GGUF_VOCABULARY_H
#define NIB_MODEL_ARCHIVE_GGUF_VOCABULARY_H

#include "model/archive/gguf/layout.h"
#include "model/archive/tensor_source.h"

#include <cstdint>
#include <string>
#include <vector>

namespace nib::model {

// Adds tokens, merges or scores, special tokens and the chat template of the files beside a model. count: tokens of the
// network; those without a text are filled. Without a tokenizer it says that there is none. Throws if llama.cpp's
// tokenizers would not give the same ids, as far as the files tell.
void addVocabulary(const Surroundings& model, uint32_t count, GgufMetadata& metadata, std::vector<std::string>& notes);

}  // namespace nib::model
#endif
