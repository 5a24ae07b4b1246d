// Loaded elements of every kind, where infinities and NaN have to arrive as such. Include dense.glsl with a source first.
#ifndef NIBBLE_NUMERICS_WHOLE_RANGE_GLSL
#define NIBBLE_NUMERICS_WHOLE_RANGE_GLSL

// Elements as dense.glsl loads them, as fp32 patterns: denormals are zeros with their signs, halves' infinities and NaN
// those of fp32, every NaN the quiet one with its sign. nibNarrow with NIB_NONFINITE_CODES takes these. 11 operations.
uvec4 nibSettle(uvec4 bits) {
  uvec4 magnitude = bits & 0x7fffffffu;
  uvec4 beyond = mix(uvec4(0x7f800000u), uvec4(0x7fc00000u), greaterThan(magnitude, uvec4(kNibInfinity)));
  uvec4 settled = mix(magnitude, uvec4(0u), lessThan(magnitude, uvec4(0x00800000u)));
  settled = mix(settled, beyond, greaterThanEqual(magnitude, uvec4(kNibInfinity)));
  return settled | (bits & 0x80000000u);
}

#endif
