// The simple blocks of ggml: 32 codes and an fp16 scale, and in the _1 formats an fp16 minimum. value = (code -
// 2^(bits-1)) * scale, or code * scale + minimum. Scales and codes are those of ggml's quantize_row_*_ref: codes are
// made with the scale before it is rounded to fp16, and rounded half up (4 and 5 bits) or half away from zero (q8_0). A
// block whose fp16 scale is 0 differs: its codes are 0, which decode to the same values. Scales and minima that do not
// fit fp16 saturate and are counted. shaders/formats/ggml.glsl is the GPU counterpart.
#ifndef NIB_FORMATS_GGML_H
#define NIB_FORMATS_GGML_H

#include <cmath>

#include "formats/format.h"
#include "formats/product.h"
#include "formats/scale_store.h"

namespace nib {

enum class Ggml { kSigned, kMinimum, kAbsmax };

template <uint32_t kBits, Ggml kKind>
struct GgmlBlock {
  static constexpr uint32_t kLevels = (1u << kBits) - 1u;
  static constexpr uint32_t kMid = 1u << (kBits - 1u);
  static constexpr uint32_t kTooLarge = 0x477ff000u;  // 65520, which rounds to infinity in fp16

  // The value rounded to fp16, saturating.
  static uint32_t toHalf(uint32_t bits, Block* block) {
    if ((bits & 0x7fffffffu) >= kTooLarge) ++block->saturated;
    return exact::nibF32ToHalfSatBits(bits);
  }

  // The scale that codes are made with: as found, or as stored if that saturated or became 0.
  static float usedScale(uint32_t scale_bits, uint32_t half) {
    const bool as_found = (half & 0x7fffu) != 0 && scale_bits < kTooLarge;
    return exact::floatOf(as_found ? scale_bits : exact::nibHalfToF32Bits(half & 0x7fffu));
  }

  static uint32_t clampCode(float truncated) {
    return truncated <= 0.0f ? 0u : truncated >= float(kLevels) ? kLevels : uint32_t(truncated);
  }

  static float bounded(float y) { return y < -256.0f ? -256.0f : y > 256.0f ? 256.0f : y; }

  static void quantizeBlock(const uint32_t* x, const uint32_t*, uint32_t count, Block* block) {
    if constexpr (kKind == Ggml::kMinimum) {
      float low = exact::floatOf(exact::nibFlushBits(x[0])), high = low;
      for (uint32_t i = 1; i < count; ++i) {
        const float v = exact::floatOf(exact::nibFlushBits(x[i]));
        low = v < low ? v : low;
        high = v > high ? v : high;
      }
      low += 0.0f;  // -0 becomes +0
      high += 0.0f;
      // high and low are halved first, because high - low may overflow.
      const float half_range = exact::nibHalve(high) - exact::nibHalve(low);
      const uint32_t scale = exact::nibDivBits(exact::bitsOf(half_range), exact::bitsOf(float(kLevels) * 0.5f));
      block->scale_stored = toHalf(scale, block);
      block->zero_stored = toHalf(exact::bitsOf(low), block);
      const float minimum = std::fabs(low) < exact::floatOf(kTooLarge) ? low : exact::nibHalfToF32(block->zero_stored);
      const float rcp = reciprocal(usedScale(scale, block->scale_stored));
      block->minimum = minimum;
      block->reciprocal = rcp;
      for (uint32_t i = 0; i < count; ++i) {
        float moved = exact::floatOf(exact::nibFlushBits(x[i])) - minimum;
        if (moved > 0x1.fffffep127f) moved = 0x1.fffffep127f;
        block->code[i] = uint8_t(clampCode(std::floor(bounded(moved * rcp) + 0.5f)));
      }
    } else {
      uint32_t most = 0, sign = 0;
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t magnitude = exact::nibFlushBits(x[i]) & 0x7fffffffu;
        if (magnitude <= most) continue;
        most = magnitude;
        sign = x[i] & 0x80000000u;
      }
      uint32_t scale = exact::nibDivBits(most, exact::bitsOf(kKind == Ggml::kSigned ? float(kMid) : 127.0f));
      if constexpr (kKind == Ggml::kSigned) {
        sign ^= 0x80000000u;  // the element farthest from 0 gets code 0, whose value is -2^(bits-1) * scale
      } else {
        sign = 0;
      }
      block->scale_stored = toHalf(scale, block);
      const float rcp = reciprocal(usedScale(scale, block->scale_stored));
      const float signed_rcp = sign != 0 ? -rcp : rcp;
      block->minimum = 0.0f;
      block->reciprocal = signed_rcp;
      if (block->scale_stored != 0) block->scale_stored |= sign >> 16;
      for (uint32_t i = 0; i < count; ++i) {
        const float y = bounded(exact::floatOf(exact::nibFlushBits(x[i])) * signed_rcp);
        if constexpr (kKind == Ggml::kSigned) {
          block->code[i] = uint8_t(clampCode(std::floor(y + (float(kMid) + 0.5f))));
        } else {
          const float away = std::round(std::fabs(y));
          const int32_t magnitude = away > 127.0f ? 127 : int32_t(away);
          block->code[i] = uint8_t(y < 0.0f ? -magnitude : magnitude);
        }
      }
    }
  }

  static float reciprocal(float scale) {
    return scale == 0.0f ? 0.0f : exact::floatOf(exact::nibDivBits(0x3f800000u, exact::bitsOf(scale)));
  }

  static uint32_t decode(uint32_t code, const StoredScale& scale, const NibWeights&) {
    const int32_t steps =
        kKind == Ggml::kAbsmax ? int32_t(int8_t(code)) : int32_t(code) - (kKind == Ggml::kSigned ? int32_t(kMid) : 0);
    // The product is exact.
    float value = scale.scale_bits == 0u ? 0.0f : float(steps) * exact::floatOf(scale.scale_bits);
    if constexpr (kKind == Ggml::kMinimum) value += exact::floatOf(scale.zero);
    return value == 0.0f ? 0u : exact::bitsOf(value);  // zeros are +0
  }

  // fp32 bits of the minimum; 0 in formats without one, and for Inf and NaN.
  static uint32_t zeroFromStored(uint32_t stored, const NibWeights&) {
    const uint32_t bits = kKind == Ggml::kMinimum ? exact::nibHalfToF32Bits(stored) : 0u;
    return exact::nibIsNonFinite(bits) ? 0u : bits;
  }
};

template <uint32_t kBits, Ggml kKind>
constexpr FormatDesc ggmlFormat(uint32_t id, const char* name) {
  using G = GgmlBlock<kBits, kKind>;
  return FormatDesc{{id, name, kBits, 32, 0, 1u << NIB_GRANULARITY_GROUP, 1u << NIB_TYPE_F16, 32, 32,
                     uint32_t(NIB_FORMAT_OWN_SCALES) | (kKind == Ggml::kMinimum ? uint32_t(NIB_FORMAT_MINIMUM) : 0u)},
                    32,
                    nullptr,
                    nullptr,
                    G::decode,
                    nullptr,
                    G::zeroFromStored,
                    kKind == Ggml::kSigned,
                    G::quantizeBlock};
}

}  // namespace nib
#endif
