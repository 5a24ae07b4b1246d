// The numbers of NIB_OP_SEARCH with HESSIAN, bounded so that no product, difference or sum is denormal or overflows:
// errors are multiples of 2^-47 and entries of H multiples of 2^-55, so that products, which are at least 2^-56, are
// multiples of 2^-79, and so are their sums; an error times such a sum is a multiple of 2^-126.
// shaders/numerics/search_form.glsl is the GPU counterpart.
#ifndef NIB_NUMERICS_SEARCH_FORM_H
#define NIB_NUMERICS_SEARCH_FORM_H

#include "numerics/exact.h"

namespace nib::search {

inline constexpr int32_t kLeastError = -24, kLeastEntry = -32, kEntryEnd = 2;  // exponents

// The exponent field of the unit by which entries of H are divided, from the largest magnitude of the diagonal, as fp32
// bits. 0 = H is the identity.
inline int32_t hessianExponent(uint32_t largest_bits) {
  return exact::nibIsNonFinite(largest_bits) ? 0 : exact::exponentFieldOf(largest_bits);
}

// An entry of H below or on the diagonal, as it is used.
inline float entry(uint32_t bits, int32_t exponent) {
  const int32_t field = exact::exponentFieldOf(bits), moved = field + 127 - exponent;
  if (field == 0 || field == 255 || moved < 127 + kLeastEntry || moved >= 127 + kEntryEnd) return 0.0f;
  return exact::floatOf(bits + (uint32_t(127 - exponent) << 23));
}

// x - q as it is used. absmax_exponent: the exponent field of the group's largest magnitude, from 87 to 166.
inline float error(float rest, int32_t absmax_exponent) {
  const uint32_t bits = exact::bitsOf(rest);
  const int32_t moved = exact::exponentFieldOf(bits) + 127 - absmax_exponent;
  if (moved < 127 + kLeastError) return 0.0f;
  return exact::floatOf(bits + (uint32_t(127 - absmax_exponent) << 23));
}

}  // namespace nib::search
#endif
