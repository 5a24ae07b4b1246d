// The numbers of NIB_OP_SEARCH with HESSIAN. src/numerics/search_form.h is the C++ counterpart and says why they are
// bounded.
#ifndef NIB_NUMERICS_SEARCH_FORM_GLSL
#define NIB_NUMERICS_SEARCH_FORM_GLSL

#include "numerics/exact.glsl"

// The exponent field of the unit of H's entries. 0 = H is the identity.
uint nibHessianExponent(uint largest_bits) {
  return nibIsNonFinite(largest_bits) ? 0u : largest_bits >> 23;
}

// An entry of H, as it is used. 5 operations.
float nibHessianEntry(uint bits, uint exponent) {
  uint least = max(exponent, 33u) - 32u;  // fields from 1 up
  uint field = (bits >> 23) & 255u;
  // Less than the least, beyond the last, or not finite.
  uint moved = bits + ((127u - exponent) << 23);
  uint last = min(exponent + 2u, 255u);
  return uintBitsToFloat(field - least < last - least ? moved : 0u);
}

// Four differences x - q, as they are used.
vec4 nibHessianErrors(vec4 rest, uint absmax_exponent) {
  uvec4 bits = floatBitsToUint(rest);
  uvec4 field = (bits >> 23) & 255u;
  uvec4 moved = bits + ((127u - absmax_exponent) << 23);
  return uintBitsToFloat(mix(moved, uvec4(0u), lessThan(field + 24u, uvec4(absmax_exponent))));
}

#endif
