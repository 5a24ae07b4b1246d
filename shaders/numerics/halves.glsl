// Four halves at a time, for loads and stores of dense rows. Cheaper than exact.glsl, for values that need less care.
// Define before including, if the driver may be asked:
//   NIB_HALVES_KEPT  a specialization constant: unpackHalf2x16 keeps denormals, as the module declares (FloatModes)
#ifndef NIB_NUMERICS_HALVES_GLSL
#define NIB_NUMERICS_HALVES_GLSL

// fp32 bits of the four halves in the upper 16 bits of the words; the lower 16 are ignored. Exact, but Inf and NaN
// become 65536 and above, which no half is. 8 operations.
uvec4 nibWidenHalves(uvec4 upper) {
  uvec4 magnitude = (upper & 0x7fff0000u) >> 3;
  // The first candidate reads every half as normal, the second every half as denormal. The smaller one is right:
  // the second below 2^-14, the first from there on.
  precise vec4 without = uintBitsToFloat(magnitude + 0x38800000u) - uintBitsToFloat(0x38800000u);
  return min(magnitude + 0x38000000u, floatBitsToUint(without)) | (upper & 0x80000000u);
}

// fp32 bits of four 16-bit elements: bfloat16, or finite halves.
uvec4 nibWidenWords(uvec2 words, bool bf16) {
  uvec4 upper = uvec4(words.x << 16, words.x, words.y << 16, words.y);
#ifdef NIB_HALVES_KEPT
  if (NIB_HALVES_KEPT && !bf16) {
    return floatBitsToUint(vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y)));
  }
#endif
  return bf16 ? upper & 0xffff0000u : nibWidenHalves(upper);
}

// The halves nearest to four fp32 that are zero or normal numbers, ties to even, in the low 16 bits. 65520 and above
// give Inf. 13 operations.
uvec4 nibNarrowHalves(uvec4 bits) {
  // 65536 becomes Inf. The addend is 2^13 times the number's power of two, or times 2^-14 for denormals: the sum then
  // rounds to the half's last mantissa bit, and its low bits are the half's.
  uvec4 magnitude = min(bits & 0x7fffffffu, uvec4(0x47800000u));
  uvec4 power = max(magnitude & 0x7f800000u, uvec4(0x38800000u));
  uvec4 large = power + 0x06800000u;
  precise vec4 sum = uintBitsToFloat(magnitude) + uintBitsToFloat(large);
  return (floatBitsToUint(sum) - large + ((power - 0x38800000u) >> 13)) | ((bits & 0x80000000u) >> 16);
}

#endif
