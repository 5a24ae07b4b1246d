// The common part of the FP8 formats: value = code as a float * scale. shaders/formats/fp8.glsl is the GPU counterpart.
#ifndef NIB_FORMATS_FP8_H
#define NIB_FORMATS_FP8_H

#include "formats/format.h"
#include "formats/product.h"
#include "formats/scale_store.h"

namespace nib {

// kNarrow: fp32 bits to the nearest code, saturating. kWiden: a code's value as fp32 bits.
template <uint32_t (*kNarrow)(uint32_t), uint32_t (*kWiden)(uint32_t), int kLargest>
struct Fp8 {
  static StoredScale findScale(const GroupStats& stats, const NibWeights& weights) {
    StoredScale result{0, 0, false, 0};
    result.scale_bits = roundScale(exact::nibDivBits(stats.absmax_bits, exact::bitsOf(float(kLargest))),
                                   weights.scale_type, &result.saturated);
    return result;
  }

  static uint32_t encode(uint32_t x_bits, const StoredScale& scale, const NibWeights&, bool) {
    if (scale.rcp_bits == 0u) return 0u;  // a zero group, or a given scale beyond 2^126
    float y = exact::floatOf(exact::nibFlushBits(x_bits) & 0x7fffffffu) * exact::floatOf(scale.rcp_bits);
    if (y > float(kLargest)) y = float(kLargest);
    return kNarrow(exact::bitsOf(y)) | (x_bits >> 24 & 0x80u);
  }

  static uint32_t decode(uint32_t code, const StoredScale& scale, const NibWeights&) {
    if (scale.scale_bits == 0u) return 0u;
    const uint32_t magnitude = kWiden(code & 0x7fu);
    const uint32_t sign = (code & 0x80u) << 24;
    if (exact::nibIsNonFinite(magnitude)) return sign | (magnitude > 0x7f800000u ? 0x7fc00000u : magnitude);
    return sign | productBits(exact::floatOf(magnitude), exact::floatOf(scale.scale_bits));
  }
};

template <uint32_t (*kNarrow)(uint32_t), uint32_t (*kWiden)(uint32_t), int kLargest>
constexpr FormatDesc fp8Format(uint32_t id, const char* name) {
  using F = Fp8<kNarrow, kWiden, kLargest>;
  return FormatDesc{{id, name, 8, 0, NIB_WEIGHTS_FLAT, kAllGranularities, kFloatScales, 16, kLargestGroup, 0},
                    16,
                    F::findScale,
                    F::encode,
                    F::decode};
}

}  // namespace nib
#endif
