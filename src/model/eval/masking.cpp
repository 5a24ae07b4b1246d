#include "model/eval/masking.h"

#include "model/archive/error.h"
#include "model/eval/random.h"

#include <algorithm>

namespace nib::model {

Masking::Masking(const Tokenizer& tokenizer) : special(tokenizer.size()) {
  if (!tokenizer.mask()) {
    throw Error(
        "the tokenizer has no mask token ([MASK] or <mask>; \"mask_token\" of tokenizer_config.json), which "
        "the loss of an encoder needs");
  }
  token = *tokenizer.mask();
  for (uint32_t id = 0; id < special.size(); ++id) special[id] = tokenizer.isSpecial(id);
  special[token] = true;
}

std::vector<uint32_t> maskedPositions(std::span<const uint32_t> ids, const Masking& masking, uint64_t window) {
  std::vector<uint32_t> positions;
  for (uint32_t i = 0; i < ids.size(); ++i) {
    if (ids[i] >= masking.special.size() || !masking.special[ids[i]]) positions.push_back(i);
  }
  if (positions.empty()) return positions;
  const size_t count = std::max<size_t>(1, (positions.size() * kMaskPercent + 50) / 100);
  Random random(Random(masking.seed).next() + window);
  // The first steps of a Fisher-Yates shuffle.
  for (size_t i = 0; i < count; ++i) std::swap(positions[i], positions[i + random.below(positions.size() - i)]);
  positions.resize(count);
  std::sort(positions.begin(), positions.end());
  return positions;
}

}  // namespace nib::model
