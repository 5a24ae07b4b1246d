// NF4: sixteen quantiles of the normal distribution times the absmax of a block (QLoRA, arXiv 2305.14314). A value on a
// threshold gets the lower code, as in bitsandbytes. Eight codes to a word, the first in the low nibble.
#include "formats/format.h"
#include "formats/scale_store.h"
#include "shaders/formats/nf4/table.h"

namespace nib {
namespace {

constexpr uint32_t kValues[16] = {NF4_V0, NF4_V1, NF4_V2,  NF4_V3,  NF4_V4,  NF4_V5,  NF4_V6,  NF4_V7,
                                  NF4_V8, NF4_V9, NF4_V10, NF4_V11, NF4_V12, NF4_V13, NF4_V14, NF4_V15};
constexpr uint32_t kThresholds[15] = {NF4_T0, NF4_T1, NF4_T2,  NF4_T3,  NF4_T4,  NF4_T5,  NF4_T6, NF4_T7,
                                      NF4_T8, NF4_T9, NF4_T10, NF4_T11, NF4_T12, NF4_T13, NF4_T14};
constexpr uint32_t kZeroCode = 7;

StoredScale findScale(const GroupStats& stats, const NibWeights& weights) {
  StoredScale result{0, 0, false, 0};
  result.scale_bits = roundScale(stats.absmax_bits, weights.scale_type, &result.saturated);
  return result;
}

uint32_t encode(uint32_t x_bits, const StoredScale& scale, const NibWeights&, bool given) {
  if (scale.scale_bits == 0u) return kZeroCode;
  float x = exact::floatOf(x_bits);
  if (given && scale.scale_bits < 0x71800000u) {  // 2^100
    const float bound = 2.0f * exact::floatOf(scale.scale_bits);
    x = x < -bound ? -bound : x > bound ? bound : x;
  }
  const float y = x * exact::floatOf(scale.rcp_bits);
  uint32_t code = 0;
  while (code < 15u && y > exact::floatOf(kThresholds[code])) ++code;
  return code;
}

uint32_t decode(uint32_t code, const StoredScale& scale, const NibWeights&) {
  if (scale.scale_bits == 0u) return 0u;
  return exact::bitsOf(exact::floatOf(kValues[code & 15u]) * exact::floatOf(scale.scale_bits));
}

}  // namespace

extern const FormatDesc kFormat_nf4;
const FormatDesc kFormat_nf4 = {{NIB_FORMAT_NF4, "nf4", 4, 64, NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED, kAllGranularities,
                                 kFloatScales, 16, kLargestGroup, 0},
                                16,
                                findScale,
                                encode,
                                decode};

}  // namespace nib
