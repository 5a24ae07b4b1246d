// Tokens that are found in the text before the model sees it: special tokens, and others that were added to a
// vocabulary.
#ifndef NIB_MODEL_TOKENIZER_ADDED_TOKENS_H
#define NIB_MODEL_TOKENIZER_ADDED_TOKENS_H

#include "model/tokenizer/byte_trie.h"

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

struct AddedToken {
  uint32_t id = 0;
  std::string content;
  bool single_word = false;  // found only between characters that belong to no word
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // and after it
  bool normalized = true;    // found in the normalized text, else in the text as it is
  bool special = false;      // decoding can leave it out
};

// A set of added tokens and the texts by which they are found.
class AddedTokens {
 public:
  void add(AddedToken token, std::string_view found_by);

  const std::vector<AddedToken>& tokens() const { return tokens_; }

  struct Part {
    std::string_view text;
    std::optional<uint32_t> id;  // none: text for the model
  };
  // Divides the text at added tokens, leftmost first and the longest of those that begin at one position. No part
  // without an id is empty.
  std::vector<Part> divide(std::string_view text, bool with_special) const;

 private:
  std::vector<AddedToken> tokens_;
  ByteTrie trie_;
  std::bitset<256> first_bytes_;
};

}  // namespace nib::model
#endif
