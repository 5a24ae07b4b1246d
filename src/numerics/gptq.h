// The numbers of NIB_OP_GPTQ, bounded so that no product, difference or sum is denormal or overflows: devices may flush
// denormals, and need not keep infinities. shaders/numerics/gptq.glsl is the GPU counterpart.
//
// Weights are 0 or from 2^-60 to 2^100 at first, errors 0 or from 2^-60 to 2^50, entries of U 0 or from 2^-40 to 2^40.
// So a product is 0 or from 2^-100 to 2^90, and a multiple of 2^-123. Weights stay multiples of 2^-123 below 2^117,
// since there are fewer than 2^16 columns. An error's square is 0 or from 2^-120 to 2^100. No zero is negative.
#ifndef NIB_NUMERICS_GPTQ_H
#define NIB_NUMERICS_GPTQ_H

#include "numerics/exact.h"

namespace nib::gptq {

inline constexpr uint32_t kLeastWeight = 0x21800000u;    // 2^-60
inline constexpr uint32_t kWeightEnd = 0x71800000u;      // 2^100
inline constexpr uint32_t kLeastError = 0x21800000u;     // 2^-60
inline constexpr uint32_t kLargestError = 0x58800000u;   // 2^50
inline constexpr uint32_t kLeastFactor = 0x2b800000u;    // 2^-40
inline constexpr uint32_t kLargestFactor = 0x53800000u;  // 2^40

// Whether an element of W counts as non-finite.
constexpr bool isBeyond(uint32_t bits) { return exact::magnitudeOf(bits) >= kWeightEnd; }

// An element of W as RESULT holds it; `bits` is not beyond.
constexpr uint32_t weightBits(uint32_t bits) { return exact::magnitudeOf(bits) < kLeastWeight ? 0u : bits; }

// An entry of U as it is used.
constexpr uint32_t factorBits(uint32_t bits) {
  const uint32_t magnitude = exact::magnitudeOf(bits);
  if (magnitude < kLeastFactor || magnitude >= exact::kInfBits) return 0;
  return exact::signOf(bits) | (magnitude < kLargestFactor ? magnitude : kLargestFactor);
}

// The error of a column: difference / diagonal. `diagonal` is as factorBits returns it.
constexpr uint32_t errorBits(uint32_t difference, uint32_t diagonal) {
  if (diagonal == 0) return 0;
  const uint32_t bits = exact::nibDivBits(difference, diagonal);
  const uint32_t magnitude = exact::magnitudeOf(bits);
  if (magnitude < kLeastError) return 0;
  return exact::signOf(bits) | (magnitude < kLargestError ? magnitude : kLargestError);
}

}  // namespace nib::gptq
#endif
