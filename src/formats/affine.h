// Affine codes: value = (code - zero) * scale. int8, int4 and the like differ in width and in how codes are stored.
//
// Symmetric: s = absmax / (qmax + 1/2), or absmax / qmax with NARROW.
// Asymmetric: s = (max/2 - min/2) / (levels/2), with [min, max] extended to include 0, and z = roundEven(-min / s).
// code = clamp(roundEven(x * (1/s)) + z). FOUR_BITS: levels and qmax are those of 4 bits. Quotients are those of
// nibDiv. The scale is rounded to its stored type before it is used. shaders/formats/affine.glsl is the GPU
// counterpart.
#ifndef NIB_FORMATS_AFFINE_H
#define NIB_FORMATS_AFFINE_H

#include <cmath>

#include "formats/format.h"
#include "formats/scale_store.h"

namespace nib {

// kOffsetBinary: stored codes are code + 2^(bits-1) or unsigned codes. Otherwise they are two's complement.
template <uint32_t kBits, bool kOffsetBinary>
struct Affine {
  static constexpr uint32_t kLevels = (1u << kBits) - 1u;
  static constexpr uint32_t kMid = 1u << (kBits - 1u);
  static constexpr uint32_t kFlags = kBits == 8u && !kOffsetBinary ? uint32_t(NIB_WEIGHTS_FOUR_BITS) : 0u;

  // The codes in use: from kMid - mid, levels + 1 of them.
  struct Range {
    uint32_t levels, mid;

    explicit Range(const NibWeights& weights) : levels(kLevels), mid(kMid) {
      if ((weights.flags & kFlags) == 0) return;
      levels = 15;
      mid = 8;
    }
    uint32_t first() const { return kMid - mid; }
  };

  static StoredScale findScale(const GroupStats& stats, const NibWeights& weights) {
    StoredScale result{0, kMid, false, 0};
    const Range range(weights);
    if (!(weights.flags & NIB_WEIGHTS_ASYMMETRIC)) {
      const float steps = float(range.mid - 1u) + ((weights.flags & NIB_WEIGHTS_NARROW) ? 0.0f : 0.5f);
      result.scale_bits =
          roundScale(exact::nibDivBits(stats.absmax_bits, exact::bitsOf(steps)), weights.scale_type, &result.saturated);
      return result;
    }
    // The range includes 0, so that 0 has an exact code.
    const uint32_t min_bits = (stats.min_bits & 0x80000000u) ? stats.min_bits : 0u;
    const uint32_t max_bits = (stats.max_bits & 0x80000000u) ? 0u : stats.max_bits;
    // max and min are halved first, because max - min may overflow.
    const float half_range =
        exact::floatOf(exact::nibHalveBits(max_bits)) - exact::floatOf(exact::nibHalveBits(min_bits));
    result.scale_bits =
        roundScale(exact::nibDivBits(exact::bitsOf(half_range), exact::bitsOf(float(range.levels) * 0.5f)),
                   weights.scale_type, &result.saturated);
    if (result.scale_bits != 0u) {
      const float zero = std::nearbyint(exact::floatOf(exact::nibDivBits(min_bits & 0x7fffffffu, result.scale_bits)));
      result.zero = range.first() + uint32_t(zero < float(range.levels) ? zero : float(range.levels));
    }
    return result;
  }

  static uint32_t encode(uint32_t x_bits, const StoredScale& scale, const NibWeights& weights, bool given) {
    uint32_t code = scale.zero;
    if (scale.scale_bits != 0u) {
      const float s = exact::floatOf(scale.scale_bits);
      const float r = exact::floatOf(scale.rcp_bits);
      float x = exact::floatOf(x_bits);
      // Beyond levels + 1 steps every code saturates; the bound keeps x * r from overflowing.
      if (given && s < 0x1p100f) {
        const float bound = float(kLevels + 1u) * s;
        x = x < -bound ? -bound : x > bound ? bound : x;
      }
      const bool narrow = (weights.flags & (NIB_WEIGHTS_NARROW | NIB_WEIGHTS_ASYMMETRIC)) == NIB_WEIGHTS_NARROW;
      const Range range(weights);
      const float low = float(range.first()) + (narrow ? 1.0f : 0.0f) - float(scale.zero);
      const float high = float(range.first() + range.levels) - float(scale.zero);
      float y = x * r;
      y = std::nearbyint(y < low ? low : y > high ? high : y);
      code = uint32_t(int32_t(y) + int32_t(scale.zero));
    }
    return kOffsetBinary ? code : code ^ kMid;
  }

  static uint32_t decode(uint32_t code, const StoredScale& scale, const NibWeights&) {
    const int32_t q = int32_t(kOffsetBinary ? code : code ^ kMid) - int32_t(scale.zero);
    if (scale.scale_bits == 0u) return 0u;
    const uint32_t bits = exact::bitsOf(float(q) * exact::floatOf(scale.scale_bits));
    return exact::nibIsNonFinite(bits) ? (bits & 0x80000000u) | 0x7f7fffffu : bits;
  }

  static uint32_t zeroToStored(uint32_t zero) { return kOffsetBinary ? zero : zero ^ kMid; }
  static uint32_t zeroFromStored(uint32_t stored, const NibWeights& weights) {
    if (!(weights.flags & NIB_WEIGHTS_ASYMMETRIC)) return kMid;
    return (kOffsetBinary ? stored : stored ^ kMid) & kLevels;
  }
};

template <uint32_t kBits, bool kOffsetBinary>
constexpr FormatDesc affineFormat(uint32_t id, const char* name, uint32_t default_group, uint32_t run) {
  using A = Affine<kBits, kOffsetBinary>;
  return FormatDesc{
      {id, name, kBits, default_group, NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW | NIB_WEIGHTS_FLAT | A::kFlags,
       kAllGranularities, kFloatScales, run, kLargestGroup, 0},
      run,
      A::findScale,
      A::encode,
      A::decode,
      A::zeroToStored,
      A::zeroFromStored};
}

}  // namespace nib
#endif
