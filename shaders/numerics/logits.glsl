// Elements of rows of logits, as the ops on them count them. Include workgroup/extent.glsl first.
#ifndef NIB_NUMERICS_LOGITS_GLSL
#define NIB_NUMERICS_LOGITS_GLSL

// Bits as memory/dense.glsl loads them of a type, with the infinities and NaN of halves as fp32 has them.
uvec4 nibLogitBits(uint type, uvec4 bits) {
  if (type != NIB_F16) return bits;
  return bits | mix(uvec4(0u), uvec4(0x7f800000u), greaterThanEqual(bits & 0x7fffffffu, uvec4(0x47800000u)));
}

bvec4 nibIsNan(uvec4 bits) {
  return greaterThan(bits & 0x7fffffffu, uvec4(0x7f800000u));
}

// Keys that order as the numbers do; that of a NaN is 0, below all.
uvec4 nibLogitKeys(uvec4 bits) {
  return mix(nibKey4(bits), uvec4(0u), nibIsNan(bits));
}

// The numbers, of magnitudes up to 2^60: no infinity, and no sum or difference of them is one.
vec4 nibLogits(uvec4 bits) {
  uvec4 magnitude = min(bits & 0x7fffffffu, uvec4(0x5d800000u));
  return uintBitsToFloat(magnitude | (bits & 0x80000000u));
}

vec4 nibExp4(vec4 x) {
  return vec4(nibExp(x.x), nibExp(x.y), nibExp(x.z), nibExp(x.w));
}

#endif
