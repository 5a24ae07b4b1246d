// Text to token ids and back, as the files of a model's folder say: tokenizer.json (byte pair encoding, Unigram and
// WordPiece), SentencePiece's tokenizer.model, or BERT's vocab.txt.
#ifndef NIB_MODEL_TOKENIZER_TOKENIZER_H
#define NIB_MODEL_TOKENIZER_TOKENIZER_H

#include "model/archive/side_files.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

class DecodeStage;
struct TokenizerParts;

// Immutable and cheap to copy; all functions are thread-safe.
class Tokenizer {
 public:
  explicit Tokenizer(std::shared_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {}

  // The ids of a text. Invalid UTF-8 becomes U+FFFD.
  // add_special: adds the tokens that the model expects around a text, such as the beginning-of-text token.
  // find_special: special tokens in the text are found; without it they are ordinary text.
  // Throws if there is no token for a part of the text.
  std::vector<uint32_t> encode(std::string_view text, bool add_special, bool find_special = true) const;

  // The text of ids, always UTF-8. Ids without a token have no text. skip_special: leaves special tokens out.
  std::string decode(std::span<const uint32_t> ids, bool skip_special) const;

  // 1 + the largest id. A model's embedding may have more rows, which belong to no token, but not fewer.
  uint32_t size() const;
  // NULL = no token has this id. As the vocabulary spells it: a space may be another character.
  const std::string* token(uint32_t id) const;
  std::optional<uint32_t> find(std::string_view token) const;
  bool isSpecial(uint32_t id) const;

  std::optional<uint32_t> bos() const;   // beginning of text
  std::optional<uint32_t> eos() const;   // end of text
  std::optional<uint32_t> mask() const;  // what an encoder reads in place of a token that it predicts
  // The ids that end a generated text: those of generation_config.json, else of config.json, else eos().
  const std::vector<uint32_t>& stopIds() const;
  // The ids that encode() adds before and after a text.
  const std::vector<uint32_t>& before() const;
  const std::vector<uint32_t>& after() const;

  const TokenizerParts& parts() const { return *parts_; }

 private:
  std::shared_ptr<const TokenizerParts> parts_;
};

// Reads the tokenizer of a model's folder. Throws an Error, also for anything in the files that is not supported; the
// message names it.
Tokenizer loadTokenizer(const std::filesystem::path& folder);
// The same of files that may be in memory. config_json, model: text and path of the model, for messages.
Tokenizer loadTokenizer(const std::vector<SideFile>& files, const std::optional<std::string>& config_json,
                        const std::filesystem::path& model);

// Decodes ids one at a time. The returned texts together equal decode() of all ids, and none of them ends within a
// character.
class TextStream {
 public:
  TextStream(Tokenizer tokenizer, bool skip_special);
  ~TextStream();
  TextStream(TextStream&&) noexcept;
  TextStream& operator=(TextStream&&) noexcept;

  // Returns the text that the id completes; "" while a character is incomplete or text is held back.
  std::string push(uint32_t id);
  // The rest. The next push() begins a new text.
  std::string finish();

 private:
  void pass(size_t stage, std::string text, std::string& out);

  Tokenizer tokenizer_;
  bool skip_special_;
  std::vector<std::unique_ptr<DecodeStage>> stages_;
};

}  // namespace nib::model
#endif
