// FP8 E5M2: bias 15, largest 57344, infinity 0x7c, NaN above. Four codes to a word. An app that decodes in its own
// shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIBBLE_FORMATS_FP8_E5M2_GLSL
#define NIBBLE_FORMATS_FP8_E5M2_GLSL

#define NIB_REACH 17u
#define NIB_NONFINITE_CODES
#include "common/exact.glsl"
#include "common/halves.glsl"
#include "common/product.glsl"
#include "common/scale_store.glsl"

#define NIB_BITS_PER_CODE 8
#define NIB_BITS 8u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16

uint nibZeroToStored(int zero) {
  return 0u;
}

int nibZeroFromStored(uint stored, uint flags) {
  return 0;
}

// The absmax is the largest code.
NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(nibDivBits(absmax_bits, 0x47600000u), scale_type, 0);
}

// Four elements at a time, each with a scale of its own: give the same one four times where they share it.
struct NibEncoder {
  vec4 rcp;    // 1/scale, 0 for the zero group
  uvec4 sign;  // 0 for the zero group, whose codes are all 0
};

NibEncoder nibMakeEncoder(uvec4 rcp_bits, ivec4 zero, uint flags) {
  NibEncoder e;
  e.rcp = uintBitsToFloat(rcp_bits);
  e.sign = mix(uvec4(0x80u), uvec4(0u), equal(rcp_bits, uvec4(0u)));
  return e;
}

// Nearest codes, ties to even, saturating. The sign is the element's own, also of -0 and of what becomes 0.
ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = nibFlush4(x) * e.rcp;
  uvec4 magnitude = floatBitsToUint(y) & 0x7fffffffu;
  uvec4 code = (magnitude + ((magnitude >> 21) & 1u) - 0x37f00001u) >> 21;
  // Below 2^-14: the ulp of 2^7 is 2^-16, the unit of denormal codes.
  precise vec4 sum = uintBitsToFloat(magnitude) + 128.0;
  code = mix(code, floatBitsToUint(sum) - 0x43000000u, lessThan(magnitude, uvec4(0x38800000u)));
  return ivec4(min(code, uvec4(0x7bu)) | ((floatBitsToUint(x) >> 24) & e.sign));
}

struct NibDecoder {
  NibScale4 scale;
};

// scale_bits: stored scales as fp32, after nibRuledScale.
NibDecoder nibMakeDecoder(uvec4 scale_bits, ivec4 zero) {
  NibDecoder d;
  d.scale = nibMakeScale4(scale_bits);
  return d;
}

// fp32 bits of four codes' values; a zero group is +0, codes that are no numbers stay so.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  uvec4 magnitude = uvec4(code) & 0x7fu;
  vec4 value = uintBitsToFloat(nibWidenHalves(magnitude << 24));
  uvec4 result = nibProduct4(value, d.scale);
  result = mix(result, mix(uvec4(0x7f800000u), uvec4(0x7fc00000u), greaterThan(magnitude, uvec4(0x7cu))),
               greaterThan(magnitude, uvec4(0x7bu)));
  return mix(result | ((uvec4(code) & 0x80u) << 24), uvec4(0u), equal(d.scale.least, uvec4(0xffffffffu)));
}

#endif
