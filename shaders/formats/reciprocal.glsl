// The encoder of formats that need 1/scale only, or with NIB_SIGN_BIT also the code's sign bit.
#ifndef NIB_FORMATS_RECIPROCAL_GLSL
#define NIB_FORMATS_RECIPROCAL_GLSL

// Encodes four elements, each with its own scale: repeat a shared one four times.
struct NibEncoder {
  vec4 rcp;  // 1/scale, 0 for the zero group
#ifdef NIB_SIGN_BIT
  uvec4 sign;  // NIB_SIGN_BIT, or 0 for the zero group, whose codes are all 0
#endif
};

NibEncoder nibMakeEncoder(uvec4 rcp_bits, ivec4 zero, uint flags) {
  NibEncoder e;
  e.rcp = uintBitsToFloat(rcp_bits);
#ifdef NIB_SIGN_BIT
  e.sign = mix(uvec4(NIB_SIGN_BIT), uvec4(0u), equal(rcp_bits, uvec4(0u)));
#endif
  return e;
}

#endif
