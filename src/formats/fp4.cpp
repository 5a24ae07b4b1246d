// FP4 of bitsandbytes (not OCP's E2M1): a sign and eight magnitudes, times the absmax of a block. A value on a
// threshold gets the lower magnitude; negative values that become 0 keep their sign. Eight codes to a word, the first
// in the low nibble.
#include "formats/format.h"
#include "formats/product.h"
#include "formats/scale_store.h"
#include "shaders/formats/fp4/table.h"

namespace nib {
namespace {

constexpr uint32_t kMagnitudes[8] = {FP4_V0, FP4_V1, FP4_V2, FP4_V3, FP4_V4, FP4_V5, FP4_V6, FP4_V7};
constexpr uint32_t kThresholds[7] = {FP4_T0, FP4_T1, FP4_T2, FP4_T3, FP4_T4, FP4_T5, FP4_T6};

StoredScale findScale(const GroupStats& stats, const NibWeights& weights) {
  StoredScale result{0, 0, false, 0};
  result.scale_bits = roundScale(stats.absmax_bits, weights.scale_type, &result.saturated);
  return result;
}

uint32_t encode(uint32_t x_bits, const StoredScale& scale, const NibWeights&, bool) {
  if (scale.rcp_bits == 0u) return 0u;  // a zero group, or a given scale beyond 2^126
  // Overflows only if x is far beyond every threshold.
  const float y = exact::floatOf(exact::nibFlushBits(x_bits) & 0x7fffffffu) * exact::floatOf(scale.rcp_bits);
  uint32_t rank = 0;
  while (rank < 7u && y > exact::floatOf(kThresholds[rank])) ++rank;
  const bool negative = x_bits > 0x807fffffu;  // denormals count as +0
  return (FP4_ORDER >> (3u * rank) & 7u) | (negative ? 8u : 0u);
}

uint32_t decode(uint32_t code, const StoredScale& scale, const NibWeights&) {
  if (scale.scale_bits == 0u) return 0u;
  // Double quantization can make negative scales.
  const uint32_t sign = ((code & 8u) << 28) ^ (scale.scale_bits & 0x80000000u);
  return productBits(exact::floatOf(kMagnitudes[code & 7u]), exact::floatOf(scale.scale_bits & 0x7fffffffu)) | sign;
}

}  // namespace

extern const FormatDesc kFormat_fp4;
const FormatDesc kFormat_fp4 = {{NIB_FORMAT_FP4, "fp4", 4, 64, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED, kAllGranularities,
                                 kFloatScales, 16, kLargestGroup, 0},
                                16,
                                findScale,
                                encode,
                                decode};

}  // namespace nib
