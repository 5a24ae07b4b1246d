// Rounding a found scale to its stored type, and the zero-group rule.
#ifndef NIB_FORMATS_SCALE_STORE_H
#define NIB_FORMATS_SCALE_STORE_H

#include <nibble/nibble.h>

#include "cpu/exact.h"

namespace nib {

// Stored scales below 2^-120 make the zero group: an element is then far below half a step whether or not a device
// flushes denormals, and no product of code and scale is denormal.
inline constexpr uint32_t kSmallestScaleBits = 0x03800000u;  // 2^-120
// Found scales stop here: the reciprocal of a larger one would be denormal.
inline constexpr uint32_t kLargestFoundScaleBits = 0x7e800000u;  // 2^126

// The stored representation (low 16 bits for 16-bit types) of a non-negative finite scale. Too large saturates.
inline uint32_t scaleToStored(uint32_t bits, uint32_t type) {
  if (type == NIB_TYPE_F16) return exact::nibF32ToHalfSatBits(bits);
  if (type == NIB_TYPE_BF16) return exact::nibF32ToBf16SatBits(bits);
  return bits;
}

inline uint32_t scaleFromStored(uint32_t stored, uint32_t type) {
  if (type == NIB_TYPE_F16) return exact::nibHalfToF32Bits(stored);
  if (type == NIB_TYPE_BF16) return exact::nibBf16ToF32Bits(stored);
  return stored;
}

// The fp32 value that decoding will use: 0 for anything that is no positive number of at least 2^-120. Given scales
// obey it too.
inline uint32_t ruledScale(uint32_t bits) {
  return bits >= kSmallestScaleBits && bits < 0x7f800000u ? bits : 0u;
}

// Rounds a found scale to the stored type and applies the rule; *saturated tells that it was too large.
inline uint32_t roundScale(uint32_t bits, uint32_t type, bool* saturated) {
  // Half: from 65520 on, which would round to infinity.
  *saturated = type == NIB_TYPE_F16 ? bits >= 0x477ff000u : bits > kLargestFoundScaleBits;
  if (bits > kLargestFoundScaleBits) bits = kLargestFoundScaleBits;
  return ruledScale(scaleFromStored(scaleToStored(bits, type), type));
}

}  // namespace nib
#endif
