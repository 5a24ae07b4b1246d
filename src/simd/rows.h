// Pieces of dense rows in fp32.
#ifndef NIB_SIMD_ROWS_H
#define NIB_SIMD_ROWS_H

#include <cstring>

#include "formats/dense.h"
#include "formats/scale_store.h"
#include "simd/kernels.h"

namespace nib::simd {

constexpr uint32_t kPiece = 4096;  // elements in a buffer

// Reads `count` elements from `index` on, and zeros up to a multiple of kCodeLanes.
inline void loadPiece(const void* data, uint32_t type, uint64_t index, uint32_t count, float* to) {
  if (type == NIB_TYPE_F32) {
    std::memcpy(to, static_cast<const float*>(data) + index, size_t(count) * 4);
  } else if (type == NIB_TYPE_F16) {
    kernels().widenHalves(static_cast<const uint16_t*>(data) + index, count, to);
  } else {
    const uint16_t* from = static_cast<const uint16_t*>(data) + index;
    for (uint32_t i = 0; i < count; ++i) to[i] = exact::floatOf(uint32_t(from[i]) << 16);
  }
  for (uint32_t i = count; i % kCodeLanes != 0; ++i) to[i] = 0.0f;
}

// Rounds half to even. NaN elements have the reference's patterns.
inline void storePiece(const float* from, uint32_t count, void* data, uint32_t type, uint64_t index) {
  if (type == NIB_TYPE_F32) {
    std::memcpy(static_cast<float*>(data) + index, from, size_t(count) * 4);
  } else if (type == NIB_TYPE_F16) {
    uint16_t* to = static_cast<uint16_t*>(data) + index;
    kernels().narrowHalves(from, count, to);
    bool nan = false;
    for (uint32_t i = 0; i < count; ++i) nan |= (to[i] & 0x7fffu) > 0x7c00u;
    for (uint32_t i = 0; nan && i < count; ++i) to[i] = uint16_t(exact::nibF32ToHalfBits(exact::bitsOf(from[i])));
  } else {
    uint16_t* to = static_cast<uint16_t*>(data) + index;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t bits = exact::bitsOf(from[i]), magnitude = exact::magnitudeOf(bits);
      const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16, sign = bits >> 16 & 0x8000u;
      to[i] = uint16_t(magnitude > exact::kInfBits ? sign | 0x7fc0u : magnitude < 0x00800000u ? sign : rounded);
    }
  }
}

// Scales index..index + count-1 as products take them, see ruledScale.
inline void readScales(const void* scales, uint32_t type, uint64_t index, uint32_t count, bool may_be_negative,
                       float* to) {
  if (type == NIB_TYPE_F16) {
    kernels().widenHalves(static_cast<const uint16_t*>(scales) + index, count, to);
  } else {
    for (uint32_t i = 0; i < count; ++i) {
      to[i] = exact::floatOf(scaleFromStored(loadStored(scales, scaleBytes(type), index + i), type));
    }
  }
  for (uint32_t i = 0; i < count; ++i) to[i] = exact::floatOf(ruledScale(exact::bitsOf(to[i]), may_be_negative));
}

}  // namespace nib::simd
#endif
