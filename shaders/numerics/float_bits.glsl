// fp32 sums and products as bit patterns, each rounded once to nearest even, infinities and NaN included. Operands are
// canonical patterns (numerics/whole_range.glsl). Results below 2^-126 and all zeros are +0; results beyond fp32 are
// infinite; every NaN is 0x7fc00000. No float is ever denormal, infinite or NaN, which devices may treat differently.
// src/numerics/float_bits.h is the C++ counterpart.
#ifndef NIB_NUMERICS_FLOAT_BITS_GLSL
#define NIB_NUMERICS_FLOAT_BITS_GLSL

// About 20 operations.
uvec4 nibSumBits4(uvec4 a, uvec4 b) {
  uvec4 magnitude_a = a & 0x7fffffffu, magnitude_b = b & 0x7fffffffu;
  uvec4 largest = max(magnitude_a, magnitude_b);
  // From 2^127 on halves are added, so that no sum overflows. Half of a number below 2^-125 does not change such a sum.
  uvec4 step = mix(uvec4(0u), uvec4(0x00800000u), greaterThanEqual(largest, uvec4(0x7f000000u)));
  uvec4 x = mix(a - step, uvec4(0u), lessThan(magnitude_a, step + step));
  uvec4 y = mix(b - step, uvec4(0u), lessThan(magnitude_b, step + step));
  precise vec4 sum = uintBitsToFloat(x) + uintBitsToFloat(y);
  uvec4 bits = floatBitsToUint(sum);
  uvec4 magnitude = bits & 0x7fffffffu;
  uvec4 finite = min(magnitude + step, uvec4(0x7f800000u)) | (bits & 0x80000000u);
  finite = mix(finite, uvec4(0u), lessThan(magnitude, uvec4(0x00800000u)));
  uvec4 infinite = mix(b, a, greaterThanEqual(magnitude_a, magnitude_b));
  // Opposite infinities differ in the sign alone.
  bvec4 opposite = equal(a ^ b, uvec4(0x80000000u));
  infinite = mix(infinite, uvec4(0x7fc00000u), opposite);
  infinite = mix(infinite, uvec4(0x7fc00000u), greaterThan(largest, uvec4(0x7f800000u)));
  return mix(finite, infinite, greaterThanEqual(largest, uvec4(0x7f800000u)));
}

// Mantissas and exponents are multiplied separately. About 30 operations.
uvec4 nibProductBits4(uvec4 a, uvec4 b) {
  precise vec4 product = uintBitsToFloat((a & 0x007fffffu) | 0x3f800000u) *
                         uintBitsToFloat((b & 0x007fffffu) | 0x3f800000u);
  uvec4 bits = floatBitsToUint(product);
  uvec4 sign = (a ^ b) & 0x80000000u;
  ivec4 exponent = ivec4((a >> 23) & 255u) + ivec4((b >> 23) & 255u) + ivec4(bits >> 23) - 254;
  uvec4 finite = (uvec4(exponent) << 23) | (bits & 0x007fffffu);
  finite = mix(finite, uvec4(0x7f800000u), greaterThan(exponent, ivec4(254)));
  uvec4 least = min(a & 0x7fffffffu, b & 0x7fffffffu), largest = max(a & 0x7fffffffu, b & 0x7fffffffu);
  bvec4 none = equal(least, uvec4(0u));
  finite = mix(finite | sign, uvec4(0u), lessThanEqual(exponent, ivec4(0)));
  finite = mix(finite, uvec4(0u), none);
  uvec4 infinite = mix(sign | 0x7f800000u, uvec4(0x7fc00000u), none);
  infinite = mix(infinite, uvec4(0x7fc00000u), greaterThan(largest, uvec4(0x7f800000u)));
  return mix(finite, infinite, greaterThanEqual(largest, uvec4(0x7f800000u)));
}

#endif
