// Data for a plan's self-test: every kind of value that an op handles, from a fixed pseudo-random sequence.
#ifndef NIB_PLAN_PROBE_H
#define NIB_PLAN_PROBE_H

#include <nibble/nibble.h>

#include "formats/geometry.h"
#include "formats/scale_store.h"
#include "numerics/exact.h"

namespace nib::probe {

// xorshift32 (Marsaglia).
class Sequence {
 public:
  explicit Sequence(uint32_t seed) : state_(seed) {}
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return state_;
  }

 private:
  uint32_t state_;
};

// fp32 bits: mostly 2^-7..2^-1, among them values of every code and rounding ties, with zeros of both signs, denormals,
// outliers and, once in 4096 elements, a NaN or an infinity.
inline uint32_t value(Sequence& sequence, uint64_t index) {
  const uint32_t r = sequence.next();
  const uint32_t sign = r & 0x80000000u;
  if (index % 4096u == 1033u) return r & 1u ? 0x7fc00000u : sign | 0x7f800000u;
  switch ((r >> 8) & 31u) {
    case 0: return sign;
    case 1: return sign | (r & 0x007fffffu);                     // denormal
    case 2: return sign | (0x3f800000u + ((r & 0xfu) << 20));    // short mantissas: ties
    case 3: return sign | 0x42280000u;                           // an outlier, 42
    default: return sign | ((0x3cu << 24) + (r & 0x02ffffffu));  // 2^-7 .. 2^-1
  }
}

inline void fillDense(void* data, uint32_t type, uint64_t size_bytes, uint32_t seed) {
  Sequence sequence(seed);
  const uint64_t count = size_bytes / typeBytes(type);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t bits = value(sequence, i);
    if (type == NIB_TYPE_F32) {
      static_cast<uint32_t*>(data)[i] = bits;
    } else {
      static_cast<uint16_t*>(data)[i] =
          uint16_t(type == NIB_TYPE_F16 ? exact::nibF32ToHalfBits(bits) : exact::nibF32ToBf16Bits(bits));
    }
  }
}

// Positive scales of many magnitudes, among them zero and, in fp32, scales too small to be valid (the zero group).
inline void fillScales(void* data, uint32_t type, uint64_t size_bytes, uint32_t seed) {
  Sequence sequence(seed);
  const uint64_t count = size_bytes / scaleBytes(type);
  for (uint64_t i = 0; i < count; ++i) {
    const uint32_t r = sequence.next();
    uint32_t bits = (0x3au << 24) + (r & 0x03ffffffu);
    if ((r >> 26) == 0) bits = 0;
    if ((r >> 26) == 1) bits = 0x03000000u + (r & 0x00ffffffu);  // around 2^-120
    saveStored(data, scaleBytes(type), i, scaleToStored(bits, type));
  }
}

// Scales of 2^-7 and 2^-8, for tests whose results must not overflow.
inline void fillOrdinaryScales(void* data, uint32_t type, uint64_t size_bytes) {
  for (uint64_t i = 0; i < size_bytes / scaleBytes(type); ++i) {
    saveStored(data, scaleBytes(type), i, scaleToStored(i % 2 != 0 ? 0x3b800000u : 0x3c000000u, type));
  }
}

inline void fillBits(void* data, uint64_t size_bytes, uint32_t seed) {
  Sequence sequence(seed);
  for (uint64_t i = 0; i < size_bytes / 4u; ++i) static_cast<uint32_t*>(data)[i] = sequence.next();
}

}  // namespace nib::probe
#endif
