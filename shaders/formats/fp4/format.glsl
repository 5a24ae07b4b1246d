// FP4 of bitsandbytes (not OCP's E2M1): sign and eight magnitudes times the absmax of a block. Eight codes to a word, the
// first in the low nibble. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIB_FORMATS_FP4_GLSL
#define NIB_FORMATS_FP4_GLSL

#define NIB_HAS_NESTED
#include "numerics/exact.glsl"
#include "numerics/product.glsl"
#include "numerics/scale_store.glsl"
#include "formats/fp4/table.h"

#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16

uint nibZeroToStored(int zero) {
  return 0u;
}

int nibZeroFromStored(uint stored, uint flags) {
  return 0;
}

NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(absmax_bits, scale_type, 0);
}

// Four elements at a time, each with a scale of its own: give the same one four times where they share it.
struct NibEncoder {
  vec4 rcp;  // 1/scale, 0 for the zero group
};

NibEncoder nibMakeEncoder(uvec4 rcp_bits, ivec4 zero, uint flags) {
  NibEncoder e;
  e.rcp = uintBitsToFloat(rcp_bits);
  return e;
}

ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = abs(nibFlush4(x)) * e.rcp;
  ivec4 rank = ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T0)))) + ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T1)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T2)))) + ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T3)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T4)))) + ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T5)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T6))));
  uvec4 code = (uvec4(FP4_ORDER) >> uvec4(rank * 3)) & 7u;
  // Negative numbers, not -0 or denormals, which count as it; and in the zero group nothing.
  uvec4 negative = mix(uvec4(0u), uvec4(8u), greaterThan(floatBitsToUint(x), uvec4(0x807fffffu)));
  return ivec4(mix(code | negative, uvec4(0u), equal(e.rcp, vec4(0.0))));
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

#define NIB_FP4_V(a, b, c) mix(uvec4(a), uvec4(b), c)

// fp32 bits of four codes' magnitudes in the table.
uvec4 nibFp4Magnitude4(ivec4 code) {
  bvec4 c0 = notEqual(code & 1, ivec4(0));
  bvec4 c1 = notEqual(code & 2, ivec4(0));
  bvec4 c2 = notEqual(code & 4, ivec4(0));
  uvec4 low = mix(NIB_FP4_V(FP4_V0, FP4_V1, c0), NIB_FP4_V(FP4_V2, FP4_V3, c0), c1);
  uvec4 high = mix(NIB_FP4_V(FP4_V4, FP4_V5, c0), NIB_FP4_V(FP4_V6, FP4_V7, c0), c1);
  return mix(low, high, c2);
}

// fp32 bits of four codes' values; a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  uvec4 bits = nibProduct4(uintBitsToFloat(nibFp4Magnitude4(code)), d.scale);
  uvec4 sign = ((uvec4(code) & 8u) << 28) ^ d.scale.sign;
  return bits | mix(sign, uvec4(0u), equal(d.scale.least, uvec4(0xffffffffu)));
}

// For products of many: value = nibPart4(code, p) * p.scale, so that the scale is applied to a sum.
struct NibPart {
  float scale;
};

#define NIB_PART_IS_TABLE  // nibPart4 takes nothing of a part

NibPart nibMakePart(uint scale_bits, int zero) {
  return NibPart(uintBitsToFloat(scale_bits));
}

vec4 nibPart4(ivec4 code, NibPart p) {
  return uintBitsToFloat(nibFp4Magnitude4(code) | ((uvec4(code) & 8u) << 28));
}

#endif
