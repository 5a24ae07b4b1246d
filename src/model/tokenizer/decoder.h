// The decoders of tokenizer.json: from the texts of tokens to text. They work token by token, so that a text can be
// shown while it grows; all pieces together are the text of all tokens.
#ifndef NIB_MODEL_TOKENIZER_DECODER_H
#define NIB_MODEL_TOKENIZER_DECODER_H

#include "model/tokenizer/json_tree.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// A stage of a decoder. It passes texts on to `next`; a stage after Fuse gets pieces of one text instead of tokens.
class DecodeStage {
 public:
  using Next = std::function<void(std::string)>;

  DecodeStage() = default;
  DecodeStage(const DecodeStage&) = delete;
  DecodeStage& operator=(const DecodeStage&) = delete;
  virtual ~DecodeStage() = default;
  virtual void push(std::string token, const Next& next) = 0;
  // The end of the text: passes on text that was held back.
  virtual void finish(const Next& next) { static_cast<void>(next); }
};

class Decoder {
 public:
  // Without a decoder, tokens are joined by spaces.
  Decoder();
  // Throws; also for a type that is not implemented, by its name.
  explicit Decoder(const JsonNode& node);
  // The decoder of a SentencePiece model: marks become spaces, and tokens of bytes become text. It removes the space
  // that encoding puts in front (adds_prefix), or all leading space (removes_space).
  static Decoder sentencePiece(bool adds_prefix, bool removes_space);

  // One text's stages.
  std::vector<std::unique_ptr<DecodeStage>> stages() const;

 private:
  struct Empty {};
  explicit Decoder(Empty) {}
  void add(const JsonNode& node, bool& is_fused);

  std::vector<std::function<std::unique_ptr<DecodeStage>()>> makers_;
};

}  // namespace nib::model
#endif
