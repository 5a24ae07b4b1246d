// Loaded elements with their infinities and NaN. Include memory/dense.glsl with a source first.
#ifndef NIB_NUMERICS_WHOLE_RANGE_GLSL
#define NIB_NUMERICS_WHOLE_RANGE_GLSL

// Canonical fp32 patterns of elements as dense.glsl loads them: denormals become zeros of the same sign, the infinities
// and NaN of halves those of fp32, and every NaN the quiet one of the same sign. nibNarrow with NIB_NONFINITE_CODES
// takes these. 11 operations. infinity: the pattern of a loaded infinity.
uvec4 nibCanonicalizeFrom(uint infinity, uvec4 bits) {
  uvec4 magnitude = bits & 0x7fffffffu;
  uvec4 beyond = mix(uvec4(0x7f800000u), uvec4(0x7fc00000u), greaterThan(magnitude, uvec4(infinity)));
  uvec4 canonical = mix(magnitude, uvec4(0u), lessThan(magnitude, uvec4(0x00800000u)));
  canonical = mix(canonical, beyond, greaterThanEqual(magnitude, uvec4(infinity)));
  return canonical | (bits & 0x80000000u);
}

uvec4 nibCanonicalize(uvec4 bits) {
  return nibCanonicalizeFrom(kNibInfinity, bits);
}

#endif
