// The names that llama.cpp has for the ways in which a tokenizer divides a text into words.
#ifndef NIB_MODEL_ARCHIVE_GGUF_PRE_TOKENIZERS_H
#define NIB_MODEL_ARCHIVE_GGUF_PRE_TOKENIZERS_H

#include <nlohmann/json.hpp>

#include <string>
#include <string_view>

namespace nib::model {

struct PreTokenizerName {
  std::string name;            // tokenizer.ggml.pre
  bool sentencepiece = false;  // does what SentencePiece does; otherwise its tokens are of bytes
  bool adds_space = true;      // sentencepiece: a text begins with a space
  std::string note = {};       // where llama.cpp gives other ids
};

// The name that fits a tokenizer.json. Throws if there is none, or if llama.cpp would do something else. `where` begins
// messages.
PreTokenizerName preTokenizerOf(const nlohmann::ordered_json& json, const std::string& where);

}  // namespace nib::model
#endif
