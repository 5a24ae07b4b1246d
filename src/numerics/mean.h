// The mean of magnitudes as an integer sum, so that the order of addition does not matter. It is the offset of double
// quantization and the scale of formats with NIB_FORMAT_MEAN_SCALE. shaders/numerics/mean.glsl is the GPU counterpart.
//
// Let 2^E be the largest power of two not above `largest`. A magnitude is rounded half up to a multiple of 2^(E - 22).
// The sum and the count are rounded half-even to fp32 and divided. Apart from products of rounding errors,
// |found - true| <= 2^-23 * 2^E + 3 * 2^-24 * true, which is less than 2^-21 of the largest.
#ifndef NIB_NUMERICS_MEAN_H
#define NIB_NUMERICS_MEAN_H

#include "numerics/exact.h"

namespace nib {

struct Mean {
  uint32_t largest;  // fp32 bits, not negative
  uint64_t sum = 0;  // in units of 2^(E - 22); at most 2^55: 2^32 magnitudes of 2^23 units

  // fp32 bits of a magnitude not above the largest. Denormals count as 0.
  void add(uint32_t magnitude) {
    if (magnitude < 0x00800000u) return;
    const uint32_t below = (largest >> 23) - (magnitude >> 23);
    if (below >= 24u) return;  // less than half a unit
    sum += (exact::mantissaOf(magnitude) + (1u << below)) >> (below + 1u);
  }

  // fp32 bits; 0 below 2^-126. 0x7f800000 if the mean rounds up to 2^128, which needs nearly all magnitudes to be the
  // largest fp32 number; no stored scale exceeds 2^126.
  uint32_t bits(uint32_t count) const {
    if (sum == 0) return 0;
    const uint32_t quotient = exact::nibDivBits(exact::bitsOf(float(sum)), exact::bitsOf(float(count)));
    const int32_t exponent = exact::exponentFieldOf(quotient) + int32_t(largest >> 23) - 149;  // a unit is 2^(E - 22)
    return exponent < 1 ? 0u : (uint32_t(exponent) << 23) | (quotient & 0x7fffffu);
  }
};

}  // namespace nib
#endif
