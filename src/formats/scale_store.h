// Rounding a found scale to its stored type, and the zero-group rule. shaders/numerics/scale_store.glsl is the GPU
// counterpart.
#ifndef NIB_FORMATS_SCALE_STORE_H
#define NIB_FORMATS_SCALE_STORE_H

#include <nibble/nibble.h>

#include "numerics/exact.h"

namespace nib {

// Stored scales below 2^-120 make the zero group. So denormal elements are far below half a step, whether or not a
// device flushes them, and no product of code and scale is denormal.
inline constexpr uint32_t kSmallestScaleBits = 0x03800000u;  // 2^-120
// Found scales saturate here, because the reciprocal of a larger one would be denormal.
inline constexpr uint32_t kLargestFoundScaleBits = 0x7e800000u;  // 2^126

inline uint32_t scaleBytes(uint32_t type) {
  return type == NIB_TYPE_F32 ? 4u : type == NIB_TYPE_E8M0 || type == NIB_TYPE_BYTE ? 1u : 2u;
}

// Loads and stores of values of 1, 2 or 4 bytes. The host must be little-endian, as everywhere in the library.
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

// The stored representation (low bits) of a non-negative finite scale; larger ones saturate. For E8M0 the scale is a
// power of two or 0.
inline uint32_t scaleToStored(uint32_t bits, uint32_t type) {
  if (type == NIB_TYPE_F16) return exact::nibF32ToHalfSatBits(bits);
  if (type == NIB_TYPE_BF16) return exact::nibF32ToBf16SatBits(bits);
  if (type == NIB_TYPE_E8M0) return bits >> 23;
  return bits;
}

inline uint32_t scaleFromStored(uint32_t stored, uint32_t type) {
  if (type == NIB_TYPE_F16) return exact::nibHalfToF32Bits(stored);
  if (type == NIB_TYPE_BF16) return exact::nibBf16ToF32Bits(stored);
  if (type == NIB_TYPE_E8M0) return stored << 23;  // NaN becomes Inf and 2^-127 becomes 0: neither is a valid scale
  return stored;
}

// The scale that encoding and decoding use, found or given: 0 unless it is a finite positive number (or negative one,
// if allowed) of at least 2^-120.
inline uint32_t ruledScale(uint32_t bits, bool may_be_negative = false) {
  const uint32_t magnitude = may_be_negative ? bits & 0x7fffffffu : bits;
  return magnitude >= kSmallestScaleBits && magnitude < 0x7f800000u ? bits : 0u;
}

// Rounds a found scale to the stored type and applies the zero-group rule. *saturated: it was too large.
inline uint32_t roundScale(uint32_t bits, uint32_t type, bool* saturated) {
  // fp16: from 65520 on, which would round to infinity.
  *saturated = type == NIB_TYPE_F16 ? bits >= 0x477ff000u : bits > kLargestFoundScaleBits;
  if (bits > kLargestFoundScaleBits) bits = kLargestFoundScaleBits;
  return ruledScale(scaleFromStored(scaleToStored(bits, type), type));
}

}  // namespace nib
#endif
