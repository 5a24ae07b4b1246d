// Four halves at a time, for loads and stores of dense rows: the functions of exact.glsl, where all are not needed.
#ifndef NIBBLE_NUMERICS_HALVES_GLSL
#define NIBBLE_NUMERICS_HALVES_GLSL

// fp32 bits of four halves in the upper halves of words, the lower ones of no matter. Exact; Inf and NaN become what is
// no half: 65536 and above. 8 operations.
uvec4 nibWidenHalves(uvec4 upper) {
  uvec4 magnitude = (upper & 0x7fff0000u) >> 3;
  // As if with a leading one of 2^-15 before denormals; without it, of all: twice that less 2^-14. The lesser one is
  // right: the second for denormals, the first from 2^-14 on.
  precise vec4 without = uintBitsToFloat(magnitude + 0x38800000u) - uintBitsToFloat(0x38800000u);
  return min(magnitude + 0x38000000u, floatBitsToUint(without)) | (upper & 0x80000000u);
}

// The halves nearest to four fp32 that are zero or ordinary numbers, ties to even, in the low 16 bits. 65520 and above
// give Inf. 13 operations.
uvec4 nibNarrowHalves(uvec4 bits) {
  // 65536 ends as Inf. Added to 2^13 times its power of two, but at least that of the denormals, a number is rounded to
  // the half's last place, and the sum's last bits are the half's.
  uvec4 magnitude = min(bits & 0x7fffffffu, uvec4(0x47800000u));
  uvec4 power = max(magnitude & 0x7f800000u, uvec4(0x38800000u));
  uvec4 large = power + 0x06800000u;
  precise vec4 sum = uintBitsToFloat(magnitude) + uintBitsToFloat(large);
  return (floatBitsToUint(sum) - large + ((power - 0x38800000u) >> 13)) | ((bits & 0x80000000u) >> 16);
}

#endif
