// The names that llama.cpp has for the ways in which a tokenizer divides a text into words.
#ifndef NIB_MODEL_ARCHIVE_GGUF_PRE_TOKENIZERS_H
#define NIB_MODEL_ARCHIVE_GGUF_PRE_TOKENIZERS_H

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>

namespace nib::model {

struct PreTokenizerName {
  std::string name;            // tokenizer.ggml.pre
  bool sentencepiece = false;  // does what SentencePiece does; otherwise its tokens are of bytes
  bool adds_space = true;      // sentencepiece: a text begins with a space
};

// The name that fits a tokenizer.json. Throws if there is none, or if llama.cpp would do something else. `where` begins
// messages.
PreTokenizerName preTokenizerOf(const nlohmann::ordered_json& json, const std::string& where);

// A pre-tokenizer of byte tokens: the expressions that divide a text one after the other.
struct BytePreTokenizer {
  const char* name;
  const char* pattern;  // "" = that of GPT-2, which ByteLevel has built in
  bool digits;          // digits are words of their own first
  bool ignores_merges;  // a word that is a token is that token
};
std::span<const BytePreTokenizer> bytePreTokenizers();

}  // namespace nib::model
#endif
