// The common part of formats without zero points, whose values are a function of the code times a scale. With
// NIB_PRODUCT_DECODER the decoder is that of numerics/product.glsl.
#ifndef NIB_FORMATS_SCALE_ONLY_GLSL
#define NIB_FORMATS_SCALE_ONLY_GLSL

uint nibZeroToStored(int zero) {
  return 0u;
}

int nibZeroFromStored(uint stored, uint flags) {
  return 0;
}

#ifdef NIB_PRODUCT_DECODER
struct NibDecoder {
  NibScale4 scale;
};

// scale_bits: stored scales as fp32, after nibRuledScale.
NibDecoder nibMakeDecoder(uvec4 scale_bits, ivec4 zero) {
  NibDecoder d;
  d.scale = nibMakeScale4(scale_bits);
  return d;
}
#endif

// For sums of products: value = nibPart4(code, p) * p.scale, so that the sum is scaled once.
struct NibPart {
  float scale;
};

NibPart nibMakePart(uint scale_bits, int zero) {
  return NibPart(uintBitsToFloat(scale_bits));
}

#endif
