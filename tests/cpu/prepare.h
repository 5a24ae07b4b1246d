// Fills the ranges that a case of the shared list reads.
#ifndef NIB_TESTS_PREPARE_H
#define NIB_TESTS_PREPARE_H

#include <vector>

#include "run_op.h"
#include "selftest/cases.h"

namespace nib::tests {

// Scales that an application may provide: ordinary ones of many magnitudes, and among them zeros, denormals, negative
// numbers, infinities and NaNs.
inline void fillScales(uint8_t* at, uint32_t type, size_t size_bytes, uint64_t seed) {
  selftest::Random random(seed ^ 0x5ca1e5u);
  const uint32_t bytes = type == NIB_TYPE_F32 ? 4 : 2;
  for (size_t i = 0; i < size_bytes / bytes; ++i) {
    // Bit patterns of the type: an exponent near the middle, or any pattern.
    uint32_t bits = type == NIB_TYPE_F32   ? 0x38000000u + (random.bits() & 0x0fffffffu)
                    : type == NIB_TYPE_F16 ? 0x1000u + (random.bits() & 0x3fffu)
                                           : 0x3800u + (random.bits() & 0x0fffu);
    switch (random.below(16)) {
      case 0: bits = random.bits(); break;
      case 1: bits = 0; break;
      case 2: bits = type == NIB_TYPE_F32 ? 0x03800000u + random.below(3) - 1u : 0x0380u + random.below(3) - 1u; break;
      case 3: bits |= type == NIB_TYPE_F32 ? 0x80000000u : 0x8000u; break;
    }
    std::memcpy(at + i * bytes, &bits, bytes);  // little-endian
  }
}

inline void fillBits(uint8_t* at, size_t size_bytes, uint64_t seed) {
  if (size_bytes == 0) return;
  const std::vector<uint32_t> words = selftest::makeValues(selftest::Recipe::kBits, (size_bytes + 3) / 4, seed);
  std::memcpy(at, words.data(), size_bytes);
}

inline void prepare(const selftest::Case& c, Ranges& ranges) {
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (ranges.size(role) == 0) continue;
    const std::vector<uint32_t> words = selftest::makeRange(c, ranges.memory, NibRole(role));
    std::memcpy(ranges.bytes(role), words.data(), ranges.size(role));
  }
}

// More edge cases of scales than the lists have: around 2^-120 and of either sign.
inline void fillEdgeScales(const selftest::Case& c, Ranges& ranges) {
  fillScales(ranges.scales(), c.weights()->scale_type, size_t(ranges.memory.part[NIB_PART_SCALES].size_bytes), c.seed);
}

}  // namespace nib::tests
#endif
