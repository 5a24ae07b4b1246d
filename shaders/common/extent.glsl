// Statistics of finite values: order-preserving keys of minimum and maximum. Include reduce.glsl and exact.glsl first.
#ifndef NIBBLE_COMMON_EXTENT_GLSL
#define NIBBLE_COMMON_EXTENT_GLSL

NibReduced nibEmptyExtent() {
  return NibReduced(0xffffffffu, 0u, 0u);
}

void nibMeet(inout NibReduced extent, uint bits) {
  uint key = nibKey(bits);
  bool finite = !nibIsNonFinite(bits);
  extent.low = finite ? min(extent.low, key) : extent.low;
  extent.high = finite ? max(extent.high, key) : extent.high;
  extent.count += finite ? 0u : 1u;
}

// fp32 bits {min, max, absmax}; all 0 without a finite value. Keys know no -0.
uvec3 nibExtentBits(NibReduced extent) {
  if (extent.low > extent.high) return uvec3(0u);
  uint low = nibUnkey(extent.low);
  uint high = nibUnkey(extent.high);
  return uvec3(low, high, max(low & 0x7fffffffu, high & 0x7fffffffu));
}

#endif
