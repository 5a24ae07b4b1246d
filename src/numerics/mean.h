// The mean of magnitudes as an integer sum, in which no order of adding shows: of scales that are quantized again, and
// of weights whose mean is their scale. Twin of shaders/numerics/mean.glsl.
//
// A magnitude counts as a multiple of 2^-22 of the largest one's power of two, rounded half up; what is below half of
// that counts as nothing. The sum and the count are rounded half-even to fp32, and divided. So with 2^E the largest
// power of two not above `largest`, and but for products of roundings, |found - true| <= 2^-23 * 2^E + 3 * 2^-24 *
// true: less than 2^-21 of the largest.
#ifndef NIB_NUMERICS_MEAN_H
#define NIB_NUMERICS_MEAN_H

#include "numerics/exact.h"

namespace nib {

struct Mean {
  uint32_t largest;  // fp32 bits, not negative
  uint64_t sum = 0;  // 2^55 at most: 2^32 times 2^23

  // fp32 bits of a magnitude not above the largest; a denormal is 0.
  void add(uint32_t magnitude) {
    if (magnitude < 0x00800000u) return;
    const uint32_t below = (largest >> 23) - (magnitude >> 23);
    if (below >= 24u) return;
    sum += (exact::mantissaOf(magnitude) + (1u << below)) >> (below + 1u);
  }

  // fp32 bits; 0 below 2^-126. Where all but all are the largest number there is it may be 2^128, 0x7f800000: no scale
  // goes so far.
  uint32_t bits(uint32_t count) const {
    if (sum == 0) return 0;
    const uint32_t quotient = exact::nibDivBits(exact::bitsOf(float(sum)), exact::bitsOf(float(count)));
    const int32_t exponent = exact::exponentFieldOf(quotient) + int32_t(largest >> 23) - 149;  // a unit is 2^(E - 22)
    return exponent < 1 ? 0u : (uint32_t(exponent) << 23) | (quotient & 0x7fffffu);
  }
};

}  // namespace nib
#endif
