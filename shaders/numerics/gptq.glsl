// The numbers of NIB_OP_GPTQ, bounded so that no product, difference or sum is denormal or overflows.
// src/numerics/gptq.h is the C++ counterpart and says why.
#ifndef NIB_NUMERICS_GPTQ_GLSL
#define NIB_NUMERICS_GPTQ_GLSL

#include "numerics/exact.glsl"

const uint kNibLeastWeight = 0x21800000u;   // 2^-60
const uint kNibWeightEnd = 0x71800000u;     // 2^100
const uint kNibLeastError = 0x21800000u;    // 2^-60
const uint kNibLargestError = 0x58800000u;  // 2^50
const uint kNibLeastFactor = 0x2b800000u;   // 2^-40
const uint kNibLargestFactor = 0x53800000u; // 2^40

// Four entries of U as they are used, as fp32 bits.
uvec4 nibFactorBits4(uvec4 bits) {
  uvec4 magnitude = bits & 0x7fffffffu;
  uvec4 bounded = min(magnitude, uvec4(kNibLargestFactor)) | (bits & 0x80000000u);
  // Less than the least, or not finite.
  return mix(bounded, uvec4(0u), greaterThanEqual(magnitude - kNibLeastFactor, uvec4(0x7f800000u - kNibLeastFactor)));
}

uint nibFactorBits(uint bits) {
  return nibFactorBits4(uvec4(bits)).x;
}

// The error of a column: difference / diagonal. `diagonal` is as nibFactorBits returns it.
uint nibErrorBits(uint difference, uint diagonal) {
  uint bits = nibDivBits(difference, diagonal);
  uint magnitude = bits & 0x7fffffffu;
  uint bounded = min(magnitude, kNibLargestError) | (bits & 0x80000000u);
  bounded = magnitude < kNibLeastError ? 0u : bounded;
  return diagonal == 0u ? 0u : bounded;
}

#endif
