// Binary: plus (1) or minus (0) the mean of the magnitudes (XNOR-Net, arXiv 1603.05279). 32 codes to a word, the first
// in the lowest bit. Elements that are not below 0 are plus, including -0 and denormals. Codes of a zero group are plus
// too; their value is +0.
#include "formats/format.h"
#include "formats/scale_store.h"

namespace nib {
namespace {

constexpr uint32_t kPlus = 1;

StoredScale findScale(const GroupStats& stats, const NibWeights& weights) {
  StoredScale result{0, 0, false, 0};
  result.scale_bits = roundScale(stats.mean_bits, weights.scale_type, &result.saturated);
  return result;
}

uint32_t encode(uint32_t x_bits, const StoredScale& scale, const NibWeights&, bool) {
  if (scale.rcp_bits == 0u) return kPlus;  // a zero group, or a given scale beyond 2^126
  const bool minus = exact::signOf(x_bits) != 0u && exact::exponentFieldOf(x_bits) != 0;
  return minus ? 0u : kPlus;
}

uint32_t decode(uint32_t code, const StoredScale& scale, const NibWeights&) {
  return scale.scale_bits == 0u || code == kPlus ? scale.scale_bits : scale.scale_bits | exact::kSignBit;
}

}  // namespace

extern const FormatDesc kFormat_binary;
const FormatDesc kFormat_binary = {{NIB_FORMAT_BINARY, "binary", 1, 0, NIB_WEIGHTS_FLAT, kAllGranularities,
                                    kFloatScales, 32, kLargestGroup, NIB_FORMAT_MEAN_SCALE},
                                   32,
                                   findScale,
                                   encode,
                                   decode};

}  // namespace nib
