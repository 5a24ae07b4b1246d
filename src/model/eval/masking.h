// Which tokens of a text an encoder has to predict.
//
// 15 % of a window's tokens that are not special are chosen, rounded, at least one, without replacement, by a
// generator that the seed and the number of the window start. Each is replaced by the mask token: unlike training,
// which leaves some of them or makes them others. The other tokens, before and after, are read as they are. So the loss
// measures how well a token is predicted from 85 % of both sides; it is no probability of the text, and not comparable
// with the perplexity of a decoder, or of another tokenizer.
#ifndef NIB_MODEL_EVAL_MASKING_H
#define NIB_MODEL_EVAL_MASKING_H

#include "model/tokenizer/tokenizer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace nib::model {

inline constexpr uint32_t kMaskPercent = 15;

struct Masking {
  Masking() = default;
  // Throws if the tokenizer has no mask token.
  explicit Masking(const Tokenizer& tokenizer);
  uint32_t token = 0;
  uint64_t seed = 0;
  std::vector<bool> special;  // by id; those beyond are not
};

// The positions in a window's ids, ascending. window: its number.
std::vector<uint32_t> maskedPositions(std::span<const uint32_t> ids, const Masking& masking, uint64_t window);

}  // namespace nib::model
#endif
