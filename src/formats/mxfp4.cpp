// MXFP4 (OCP Microscaling Formats 1.0): E2M1 codes (0, 1/2, 1, 3/2, 2, 3, 4, 6 and their negatives) and a power of two
// as the scale of 32 elements. Nearest code, ties to even, saturating. Eight codes to a word, the first in the low
// nibble.
//
// The scale, with E = floor(log2(absmax)) and 2 the exponent of the largest code:
//   FLOOR  2^(E-2), as in the standard
//   CEIL   2^(E-1) if absmax is not a power of two, else 2^(E-2)
//   EVEN   2^(E-2) with the E of absmax rounded to E2M1's one mantissa bit
//   RCEIL  the smallest that does not saturate: 2^ceil(log2(absmax / 6))
#include "formats/format.h"
#include "formats/product.h"
#include "formats/scale_store.h"

namespace nib {
namespace {

constexpr float kMagnitudes[8] = {0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f};

StoredScale findScale(const GroupStats& stats, const NibWeights& weights) {
  StoredScale result{0, 0, false, 0};
  const uint32_t mantissa = stats.absmax_bits & 0x7fffffu;
  int32_t exponent = int32_t(stats.absmax_bits >> 23) - 127;
  switch (weights.flags & NIB_WEIGHTS_SCALE_RULE) {
    case NIB_WEIGHTS_SCALE_CEIL: exponent += mantissa != 0 ? 1 : 0; break;
    case NIB_WEIGHTS_SCALE_EVEN: exponent += mantissa >= 0x600000u ? 1 : 0; break;  // 1.75 and above round to 2
    case NIB_WEIGHTS_SCALE_RCEIL: exponent += mantissa > 0x400000u ? 1 : 0; break;  // 6 is 1.5 * 2^2
    default: break;
  }
  exponent -= 2;
  if (exponent >= -120) result.scale_bits = uint32_t(exponent + 127) << 23;
  return result;
}

uint32_t encode(uint32_t x_bits, const StoredScale& scale, const NibWeights&, bool) {
  if (scale.rcp_bits == 0u) return 0u;  // a zero group, or a given scale beyond 2^126
  const float y = exact::floatOf(x_bits & 0x7fffffffu) * exact::floatOf(scale.rcp_bits);
  // A midpoint gets the even one of its two neighbours.
  uint32_t code = 0;
  for (; code < 7u; ++code) {
    const float middle = (kMagnitudes[code] + kMagnitudes[code + 1u]) * 0.5f;
    if (y < middle || (y == middle && code % 2u == 0)) break;
  }
  return code | (x_bits >> 28 & 8u);
}

uint32_t decode(uint32_t code, const StoredScale& scale, const NibWeights&) {
  if (scale.scale_bits == 0u) return 0u;
  return productBits(kMagnitudes[code & 7u], exact::floatOf(scale.scale_bits)) | (code & 8u) << 28;
}

}  // namespace

extern const FormatDesc kFormat_mxfp4;
const FormatDesc kFormat_mxfp4 = {{NIB_FORMAT_MXFP4, "mxfp4", 4, 32, NIB_WEIGHTS_SCALE_RULE,
                                   1u << NIB_GRANULARITY_GROUP, 1u << NIB_TYPE_E8M0, 32, 32, 0},
                                  16,
                                  findScale,
                                  encode,
                                  decode};

}  // namespace nib
