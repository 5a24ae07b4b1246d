// Activations and cache rows of any type in fp32.
#ifndef NIB_SIMD_WIDEN_H
#define NIB_SIMD_WIDEN_H

#include <nibble/nibble.h>

#include <cstring>

#include "numerics/exact.h"

namespace nib::simd {

// `from` need not be aligned.
inline void widen(const char* from, NibType type, uint32_t count, float* to) {
  if (type == NIB_TYPE_F32) {
    std::memcpy(to, from, size_t(count) * 4);
    return;
  }
  for (uint32_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, from + size_t(i) * 2, 2);
    to[i] = type == NIB_TYPE_F16 ? exact::nibHalfToF32(half) : exact::nibBf16ToF32(half);
  }
}

}  // namespace nib::simd
#endif
