// The parts of a tokenizer, and the readers that assemble them.
#ifndef NIB_MODEL_TOKENIZER_PARTS_H
#define NIB_MODEL_TOKENIZER_PARTS_H

#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/decoder.h"
#include "model/tokenizer/normalizer.h"
#include "model/tokenizer/pre_tokenizer.h"
#include "model/tokenizer/sentencepiece.h"
#include "model/tokenizer/unigram.h"
#include "model/tokenizer/vocabulary.h"
#include "model/tokenizer/wordpiece.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace nib::model {

struct TokenizerParts {
  TokenizerParts() = default;
  // bpe, unigram and wordpiece refer to `vocabulary`.
  TokenizerParts(const TokenizerParts&) = delete;
  TokenizerParts& operator=(const TokenizerParts&) = delete;

  Vocabulary vocabulary;  // the model's
  Vocabulary added;       // tokens that are not the model's
  std::vector<bool> special;

  AddedTokens raw;         // found in the text as it is
  AddedTokens normalized;  // found in the normalized text
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  // One of these is set.
  std::optional<Bpe> bpe;
  std::optional<Unigram> unigram;
  std::optional<WordPiece> wordpiece;
  std::optional<SentencePiece> sentencepiece;
  bool prefix_everywhere = true;  // SentencePiece: after added tokens too, not only where the text begins
  std::vector<uint32_t> before, after;
  Decoder decoder;

  std::optional<uint32_t> bos, eos, mask;
  std::vector<uint32_t> stop_ids;

  const std::string* text(uint32_t id) const;
  std::optional<uint32_t> find(std::string_view token) const;
  // Adds tokens of a file, which must agree with the vocabulary. `place` begins messages. Throws.
  void addTokens(std::vector<AddedToken> tokens, const std::string& place);
};

// Reads an entry of added_tokens or added_tokens_decoder.
AddedToken readAddedToken(const JsonNode& node, uint32_t id);

// Fills what tokenizer.json defines. Throws.
// where: begins messages.
void readTokenizerJson(const SideFile& file, const std::string& where, TokenizerParts& parts);
// The same of BERT's vocab.txt. config: tokenizer_config.json.
void readVocabTxt(const SideFile& file, const std::string& where, const JsonNode& config, TokenizerParts& parts);

}  // namespace nib::model
#endif
