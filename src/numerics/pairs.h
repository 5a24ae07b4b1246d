// Numbers as unevaluated sums of two fp32, a high part and the remainder (two-float, double-single).
// shaders/numerics/pairs.glsl is the GPU counterpart. Needs rounding to nearest and no contraction. The caller ensures
// that no intermediate is denormal, so that FTZ and DAZ change nothing.
#ifndef NIB_NUMERICS_PAIRS_H
#define NIB_NUMERICS_PAIRS_H

#include "numerics/exact.h"

namespace nib::exact {

struct Pair {
  float high = 0.0f;
  float low = 0.0f;
};

// The rounded sum and its rounding error (Knuth).
inline Pair twoSum(float a, float b) {
  const float sum = a + b;
  const float part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

// a * b exactly (Dekker), with operands split by their bits.
inline Pair pairProduct(float a, float b) {
  const float a_high = floatOf(bitsOf(a) & 0xfffff000u), b_high = floatOf(bitsOf(b) & 0xfffff000u);
  const float a_low = a - a_high, b_low = b - b_high;
  const float product = a * b;
  return {product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)};
}

// a + b with rounded low parts. The result's low part may exceed half an ulp of its high part.
inline Pair pairAdd(Pair a, Pair b) {
  const Pair sum = twoSum(a.high, b.high);
  return {sum.high, sum.low + (a.low + b.low)};
}

// The same value with the low part brought below half an ulp.
inline Pair normalized(Pair a) { return twoSum(a.high, a.low); }

}  // namespace nib::exact
#endif
