// Data with which the ops' cases fill their ranges.
#ifndef NIB_SELFTEST_INPUTS_H
#define NIB_SELFTEST_INPUTS_H

#include "selftest/case.h"

namespace nib::selftest {

using Words = std::vector<uint32_t>;

// Scratch and results begin as this mark. A kernel that expects zeros then fails, and a write outside the result
// is visible.
inline constexpr uint32_t kUntouched = 0xa5a5a5a5u;

inline size_t wordsOf(uint64_t bytes) { return size_t((bytes + 3) / 4); }

// Any bit patterns.
Words makeBits(uint64_t size_bytes, uint64_t seed);
// Valid positive scales of many magnitudes, and invalid ones.
Words makeScales(uint32_t type, uint64_t size_bytes, uint64_t seed);
// Numbers of a type for a range or a part of that many bytes.
Words makeNumbers(Recipe recipe, uint32_t type, uint64_t size_bytes, uint64_t seed);
// Codes of a product of codes: any, or of the recipe kAlike.
Words makeCodes(Recipe recipe, const NibWeights& weights, uint64_t size_bytes, uint64_t seed);

// Copies words to a part of a role's range, if there is one.
void fillPart(Words& range, const NibMemoryPart& part, const Words& words);
// Scales, zero points and nested scales of any kind.
void fillParameters(Words& range, const NibMemory& memory, uint32_t scale_type, uint64_t seed);

// A blob that the reference makes by quantizing ordinary numbers.
Words quantizedNormal(uint32_t rows, uint32_t cols, const NibWeights& weights, uint64_t seed);

// Runs the reference on ranges that are large enough. Throws std::runtime_error with `what` if it refuses.
void runOnHost(const NibOpDesc* desc, const NibCpuBinding& binding, uint32_t n, const std::string& what);

}  // namespace nib::selftest
#endif
