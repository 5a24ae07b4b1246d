// Rounding a found scale to its stored type, and the zero-group rule.
#ifndef NIB_FORMATS_SCALE_STORE_H
#define NIB_FORMATS_SCALE_STORE_H

#include <nibble/nibble.h>

#include "numerics/exact.h"

namespace nib {

// Stored scales below 2^-120 make the zero group: an element is then far below half a step whether or not a device
// flushes denormals, and no product of code and scale is denormal.
inline constexpr uint32_t kSmallestScaleBits = 0x03800000u;  // 2^-120
// Found scales stop here: the reciprocal of a larger one would be denormal.
inline constexpr uint32_t kLargestFoundScaleBits = 0x7e800000u;  // 2^126

inline uint32_t scaleBytes(uint32_t type) { return type == NIB_TYPE_F32 ? 4u : type == NIB_TYPE_E8M0 ? 1u : 2u; }

// Values of 1, 2 or 4 bytes, little-endian as everything here.
inline uint32_t loadStored(const void* data, uint32_t bytes, uint64_t index) {
  if (bytes == 4) return static_cast<const uint32_t*>(data)[index];
  return bytes == 2 ? static_cast<const uint16_t*>(data)[index] : static_cast<const uint8_t*>(data)[index];
}
inline void saveStored(void* data, uint32_t bytes, uint64_t index, uint32_t stored) {
  if (bytes == 4) {
    static_cast<uint32_t*>(data)[index] = stored;
  } else if (bytes == 2) {
    static_cast<uint16_t*>(data)[index] = uint16_t(stored);
  } else {
    static_cast<uint8_t*>(data)[index] = uint8_t(stored);
  }
}

// The stored representation (in the low bits) of a non-negative finite scale. Too large saturates. For e8m0, of a power
// of two or 0.
inline uint32_t scaleToStored(uint32_t bits, uint32_t type) {
  if (type == NIB_TYPE_F16) return exact::nibF32ToHalfSatBits(bits);
  if (type == NIB_TYPE_BF16) return exact::nibF32ToBf16SatBits(bits);
  if (type == NIB_TYPE_E8M0) return bits >> 23;
  return bits;
}

inline uint32_t scaleFromStored(uint32_t stored, uint32_t type) {
  if (type == NIB_TYPE_F16) return exact::nibHalfToF32Bits(stored);
  if (type == NIB_TYPE_BF16) return exact::nibBf16ToF32Bits(stored);
  if (type == NIB_TYPE_E8M0) return stored << 23;  // NaN becomes Inf, 2^-127 becomes 0: no scales either
  return stored;
}

// The fp32 value that decoding will use: 0 for anything that is no positive number of at least 2^-120. Given scales
// obey it too.
inline uint32_t ruledScale(uint32_t bits, bool may_be_negative = false) {
  const uint32_t magnitude = may_be_negative ? bits & 0x7fffffffu : bits;
  return magnitude >= kSmallestScaleBits && magnitude < 0x7f800000u ? bits : 0u;
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
