// Binary: plus (1) or minus (0) the mean of the magnitudes (XNOR-Net, arXiv 1603.05279). 32 codes to a word, the first
// in the lowest bit. Elements that are not below 0 are plus, and so are -0, denormals and every element of a zero
// group, whose value is +0. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIB_FORMATS_BINARY_GLSL
#define NIB_FORMATS_BINARY_GLSL

#define NIB_BITS_PER_CODE 1
#define NIB_BITS 1u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 32
#define NIB_MEAN_SCALE
#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"
#include "formats/scale_only.glsl"

// absmax_bits is the mean here.
NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(absmax_bits, scale_type, 0);
}

// Encodes four elements, each with its own scale: repeat a shared one four times.
struct NibEncoder {
  uvec4 least;  // elements whose bits are at least this are minus; no element is in the zero group
};

NibEncoder nibMakeEncoder(uvec4 rcp_bits, ivec4 zero, uint flags) {
  NibEncoder e;
  e.least = mix(uvec4(0x80800000u), uvec4(0xffffffffu), equal(rcp_bits, uvec4(0u)));
  return e;
}

ivec4 nibEncode4(vec4 x, NibEncoder e) {
  return ivec4(lessThan(floatBitsToUint(x), e.least));
}

struct NibDecoder {
  uvec4 scale;
  uvec4 sign;  // 0 for the zero group
};

// scale_bits: stored scales as fp32, after nibRuledScale.
NibDecoder nibMakeDecoder(uvec4 scale_bits, ivec4 zero) {
  NibDecoder d;
  d.scale = scale_bits;
  d.sign = mix(uvec4(0x80000000u), uvec4(0u), equal(scale_bits, uvec4(0u)));
  return d;
}

// fp32 bits of four codes' values.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  return d.scale | mix(d.sign, uvec4(0u), notEqual(code, ivec4(0)));
}

vec4 nibPart4(ivec4 code, NibPart p) {
  return mix(vec4(-1.0), vec4(1.0), notEqual(code, ivec4(0)));
}

#endif
