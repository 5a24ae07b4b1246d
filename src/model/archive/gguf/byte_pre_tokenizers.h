// The ways in which llama.cpp divides a text into words, for tokens of bytes.
#ifndef NIB_MODEL_ARCHIVE_GGUF_BYTE_PRE_TOKENIZERS_H
#define NIB_MODEL_ARCHIVE_GGUF_BYTE_PRE_TOKENIZERS_H

#include <span>

namespace nib::model {

// A pre-tokenizer of byte tokens: the expressions that divide a text one after the other.
struct BytePreTokenizer {
  const char* name;
  const char* pattern;  // "" = that of GPT-2, which ByteLevel has built in
  bool digits;          // digits are words of their own first
  bool ignores_merges;  // a word that is a token is that token
  bool composes;        // tokenizers of this kind compose characters (NFC), although llama.cpp does not
};
std::span<const BytePreTokenizer> bytePreTokenizers();

}  // namespace nib::model
#endif
