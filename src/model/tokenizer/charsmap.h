// SentencePiece's table of replacements, precompiled_charsmap: a double array trie and the texts it leads to.
#ifndef NIB_MODEL_TOKENIZER_CHARSMAP_H
#define NIB_MODEL_TOKENIZER_CHARSMAP_H

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

class CharsMap {
 public:
  // Checks every reachable unit, so that no look-up leaves the table. Throws; `where` begins the message.
  CharsMap(std::string_view blob, const std::string& where);

  // Replaces like the normalizer "Precompiled" of tokenizer.json: whole grapheme clusters below 6 bytes, else
  // characters. `text` is valid UTF-8.
  std::string normalize(std::string_view text) const;

 private:
  // Sets `to` and returns true if a prefix of `text` has a replacement: that of the shortest such prefix.
  bool find(std::string_view text, std::string_view& to) const;

  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace nib::model
#endif
