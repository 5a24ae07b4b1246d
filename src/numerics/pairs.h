// Numbers as unevaluated sums of two fp32: the twin of shaders/numerics/pairs.glsl, one at a time. Needs nearest rounding and
// no contraction; the caller sees to it that no intermediate is denormal, so FTZ and DAZ change nothing.
#ifndef NIB_NUMERICS_PAIRS_H
#define NIB_NUMERICS_PAIRS_H

#include "numerics/exact.h"

namespace nib::exact {

struct Pair {
  float high = 0.0f;
  float low = 0.0f;
};

// sum and what its rounding left (Knuth).
inline Pair twoSum(float a, float b) {
  const float sum = a + b;
  const float part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

// a * b exactly (Dekker), split by bits.
inline Pair pairProduct(float a, float b) {
  const float a_high = floatOf(bitsOf(a) & 0xfffff000u), b_high = floatOf(bitsOf(b) & 0xfffff000u);
  const float a_low = a - a_high, b_low = b - b_high;
  const float product = a * b;
  return {product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)};
}

// a + b, low parts rounded.
inline Pair pairAdd(Pair a, Pair b) {
  const Pair sum = twoSum(a.high, b.high);
  return {sum.high, sum.low + (a.low + b.low)};
}

// With the low part brought below half an ulp.
inline Pair normalized(Pair a) { return twoSum(a.high, a.low); }

}  // namespace nib::exact
#endif
