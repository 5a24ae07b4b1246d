// Rounding a found scale to its stored type, and the zero-group rule.
#ifndef NIB_FORMATS_SCALE_STORE_H
#define NIB_FORMATS_SCALE_STORE_H

#include <nibble/nibble.h>

#include "cpu/exact.h"

namespace nib {

// Stored scales below 2^-120 make the zero group: an element is then far below half a step whether or not a device
// flushes denormals, and no product of code and scale is denormal.
inline constexpr uint32_t kSmallestScaleBits = 0x03800000u;  // 2^-120

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

// Rounds to the stored type and applies the rule; *saturated tells that the type could not hold the scale.
inline uint32_t roundScale(uint32_t bits, uint32_t type, bool* saturated) {
  const uint32_t value = scaleFromStored(scaleToStored(bits, type), type);
  // Rounding moves a scale by less than one part in 256 (bf16), saturation only downwards from beyond the largest value.
  const uint32_t largest = type == NIB_TYPE_F16 ? 0x477fe000u : type == NIB_TYPE_BF16 ? 0x7f7f0000u : 0x7f7fffffu;
  const uint32_t limit = type == NIB_TYPE_F16 ? 0x477ff000u : type == NIB_TYPE_BF16 ? 0x7f7f8000u : 0x7f800000u;
  *saturated = value == largest && bits >= limit;
  return ruledScale(value);
}

}  // namespace nib
#endif
