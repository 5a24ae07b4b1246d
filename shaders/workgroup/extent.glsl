// Minimum and maximum of finite values as order-preserving keys (nibKey). Include workgroup/reduce.glsl and
// numerics/exact.glsl first.
#ifndef NIB_WORKGROUP_EXTENT_GLSL
#define NIB_WORKGROUP_EXTENT_GLSL

// nibKey of four values.
uvec4 nibKey4(uvec4 bits) {
  uvec4 b = mix(bits, uvec4(0u), equal(bits & 0x7f800000u, uvec4(0u)));
  return b ^ (uvec4(ivec4(b) >> 31) | 0x80000000u);
}

NibReduced nibEmptyExtent() {
  return NibReduced(0xffffffffu, 0u, 0u);
}

// fp32 bits {min, max, absmax}; all 0 without a finite value. -0 cannot occur: its key is that of +0.
uvec3 nibExtentBits(NibReduced extent) {
  if (extent.low > extent.high) return uvec3(0u);
  uint low = nibUnkey(extent.low);
  uint high = nibUnkey(extent.high);
  return uvec3(low, high, max(low & 0x7fffffffu, high & 0x7fffffffu));
}

#endif
