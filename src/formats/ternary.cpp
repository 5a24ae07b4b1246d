// Ternary (BitNet b1.58, arXiv 2402.17764): -1, 0 and 1 times the mean of the magnitudes or, with NARROW, the largest.
// Offset binary (code + 2), sixteen codes to a word, the first in the low bits: the layout of int2 without its lowest
// code.
#include "formats/affine.h"

namespace nib {
namespace {

using Codes = Affine<2, true>;

StoredScale findScale(const GroupStats& stats, const NibWeights& weights) {
  StoredScale result{0, Codes::kMid, false, 0};
  const uint32_t found = weights.flags & NIB_WEIGHTS_NARROW ? stats.absmax_bits : stats.mean_bits;
  result.scale_bits = roundScale(found, weights.scale_type, &result.saturated);
  return result;
}

// Codes are those of NARROW int2, whatever the scale.
uint32_t encode(uint32_t x_bits, const StoredScale& scale, const NibWeights& weights, bool given) {
  NibWeights narrow = weights;
  narrow.flags |= NIB_WEIGHTS_NARROW;
  return Codes::encode(x_bits, scale, narrow, given);
}

}  // namespace

extern const FormatDesc kFormat_ternary;
const FormatDesc kFormat_ternary = {{NIB_FORMAT_TERNARY, "ternary", 2, 0, NIB_WEIGHTS_NARROW | NIB_WEIGHTS_FLAT,
                                     kAllGranularities, kFloatScales, 16, kLargestGroup, NIB_FORMAT_MEAN_SCALE},
                                    16,
                                    findScale,
                                    encode,
                                    Codes::decode,
                                    Codes::zeroToStored,
                                    Codes::zeroFromStored};

}  // namespace nib
