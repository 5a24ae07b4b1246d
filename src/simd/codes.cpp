#include "simd/codes.h"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace nib::simd {
namespace {

constexpr StoredScale kUnit{0x3f800000u, 0, false, 0x3f800000u};
constexpr uint32_t kMostMagnitude = 0x49800000u;  // 2^20, beyond all codes at scale 1

}  // namespace

FormatCodes::FormatCodes(const FormatDesc& format, const NibWeights& weights) : format_(format), weights_(weights) {
  const NibFormatInfo& info = format.info;
  bool is_signed = info.bits == 8;
  for (uint32_t code = 0; code < 1u << info.bits; ++code) {
    values_.value[code] = exact::floatOf(format.decode(code, kUnit, weights));
    is_signed &= values_.value[code] == float(int8_t(code));
  }
  values_.kind = info.bits <= 4 ? CodeValues::kSixteen : is_signed ? CodeValues::kSigned : CodeValues::kAny;
  if (format.encode == nullptr || (info.flags & NIB_FORMAT_MEAN_SCALE) != 0) return;
  if (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC) {
    encoder_ = kIntegers;
  } else if (info.bits == 8) {
    if (makeFloats()) encoder_ = kFloats;
  } else if (makeSteps()) {
    encoder_ = kSteps;
  }
}

uint32_t FormatCodes::encodeUnit(uint32_t bits) const { return format_.encode(bits, kUnit, weights_, false); }

// Code 1 is the smallest denormal number. The ulp doubles after the first 2^(m + 1) codes, with m bits of mantissa.
bool FormatCodes::makeFloats() {
  const float ulp = values_.value[1];
  uint32_t m = 1;
  while (m < 7 && values_.value[(2u << m) + 1u] == float((2u << m) + 1u) * ulp) ++m;
  if (m == 7) return false;
  const uint32_t largest = encodeUnit(kMostMagnitude);
  floats_ = {{23 - m, float(1u << m) * ulp, 0x1p23f * ulp, values_.value[largest]}, 1u << m};
  return largest < 0x80u;
}

// Codes change at a few numbers. Magnitudes have codes of their own if a negative number's code is that of its
// magnitude with one more bit; else numbers are searched from the least to the largest.
bool FormatCodes::makeSteps() {
  constexpr uint32_t kNegative = 0x80000000u, kOne = 0x3f800000u;
  const uint32_t sign = encodeUnit(kOne) ^ encodeUnit(kOne | kNegative);
  steps_.sign_bit = std::has_single_bit(sign) && sign == 1u << (format_.info.bits - 1) ? uint8_t(sign) : uint8_t(0);
  steps_.zeros = (encodeUnit(kNegative) & steps_.sign_bit) != 0;
  const bool magnitudes = steps_.sign_bit != 0;
  const auto codeAt = [&](uint32_t key) { return encodeUnit(exact::nibUnkey(key)); };
  const uint32_t last = exact::nibKey(kMostMagnitude);
  uint32_t at = magnitudes ? kNegative : exact::nibKey(kMostMagnitude | kNegative);
  for (;;) {
    const uint32_t code = codeAt(at);
    steps_.code[steps_.steps] = uint8_t(code);
    if (code == codeAt(last)) return true;
    if (steps_.steps == StepCoder::kMost) return false;
    uint32_t same = at, end = last;  // the last key known to have the code, and one that has another
    while (end - same > 1) {
      const uint32_t middle = same + (end - same) / 2;
      (codeAt(middle) == code ? same : end) = middle;
    }
    steps_.above[steps_.steps++] = exact::floatOf(exact::nibUnkey(same));
    at = end;
  }
}

void FormatCodes::encode(const float* x, uint32_t count, const StoredScale& scale, bool given, uint8_t* codes) const {
  if (scale.scale_bits == 0u || scale.rcp_bits == 0u) {
    std::memset(codes, int(format_.encode(0, scale, weights_, given)), count);
    return;
  }
  const Kernels& run = kernels();
  const float s = exact::floatOf(scale.scale_bits), reciprocal = exact::floatOf(scale.rcp_bits);
  if (encoder_ == kFloats) return run.encodeFloats(x, count, reciprocal, floats_, codes);
  if (encoder_ == kSteps) return run.encodeSteps(x, count, reciprocal, steps_, codes);
  // Stored codes are code - zero point + the stored code of 0 at that zero point.
  const uint32_t levels = (1u << format_.info.bits) - 1u;
  const bool narrow = (weights_.flags & (NIB_WEIGHTS_NARROW | NIB_WEIGHTS_ASYMMETRIC)) == NIB_WEIGHTS_NARROW;
  const bool four = (weights_.flags & NIB_WEIGHTS_FOUR_BITS) != 0;
  const float zero = float(scale.zero);
  const float low = (four ? 120.0f : 0.0f) + (narrow ? 1.0f : 0.0f), high = four ? 135.0f : float(levels);
  const float bound = given && s < 0x1p100f ? float(levels + 1u) * s : std::numeric_limits<float>::infinity();
  run.encodeIntegers(x, count,
                     {reciprocal, low - zero, high - zero, bound, int32_t(format_.encode(0, scale, weights_, false))},
                     codes);
}

void FormatCodes::encodeBlock(const float* x, uint32_t count, const GroupExtent& extent, Block* block,
                              uint8_t* codes) const {
  // The format's own function finds the scale from the two ends.
  uint32_t ends[2] = {exact::bitsOf(extent.min), exact::bitsOf(extent.max)};
  if (extent.min == -extent.max) {
    for (uint32_t i = 0; i < count; ++i) {
      if (x[i] != extent.min && x[i] != extent.max) continue;
      if (x[i] == extent.max) std::swap(ends[0], ends[1]);
      break;
    }
  }
  format_.quantizeBlock(ends, nullptr, 2, block);
  const uint32_t bits = format_.info.bits;
  const bool minimum = (format_.info.flags & NIB_FORMAT_MINIMUM) != 0;
  const float half = format_.signed_scales ? float(1u << (bits - 1)) + 0.5f : 0.5f;
  kernels().encodeBlock(
      x, count, {block->minimum, block->reciprocal, half, (1u << bits) - 1u, !minimum && !format_.signed_scales},
      codes);
}

void FormatCodes::decode(const uint8_t* codes, uint32_t count, const StoredScale& scale, float* y) const {
  const uint32_t magnitude = exact::magnitudeOf(scale.scale_bits);
  const Kernels& run = kernels();
  const bool block = (format_.info.flags & NIB_FORMAT_OWN_SCALES) != 0;
  if (block && magnitude != 0u) {
    return run.decodeBlock(codes, count, values_, exact::floatOf(scale.scale_bits), exact::floatOf(scale.zero), y);
  }
  // All products are normal numbers.
  if (magnitude >= 0x0d800000u && magnitude < 0x72000000u && !block) {  // 2^-100, 2^101
    return run.decodeValues(codes, count, values_, float(scale.zero), exact::floatOf(scale.scale_bits), y);
  }
  for (uint32_t i = 0; i < count; ++i) y[i] = exact::floatOf(format_.decode(codes[i], scale, weights_));
}

}  // namespace nib::simd
