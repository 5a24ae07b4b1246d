// FP4 of bitsandbytes (not OCP's E2M1): a sign and eight magnitudes times the absmax of a block. Eight codes to a word,
// the first in the low nibble. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIB_FORMATS_FP4_GLSL
#define NIB_FORMATS_FP4_GLSL

#define NIB_HAS_NESTED
#include "numerics/exact.glsl"
#include "numerics/product.glsl"
#include "numerics/scale_store.glsl"
#define NIB_PRODUCT_DECODER
#include "formats/scale_only.glsl"
#include "formats/reciprocal.glsl"
#include "formats/select.glsl"
#include "formats/fp4/table.h"

#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16

NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(absmax_bits, scale_type, 0);
}

ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = abs(nibFlush4(x)) * e.rcp;
  ivec4 rank = ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T0)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T1)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T2)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T3)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T4)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T5)))) +
               ivec4(greaterThan(y, vec4(uintBitsToFloat(FP4_T6))));
  uvec4 code = (uvec4(FP4_ORDER) >> uvec4(rank * 3)) & 7u;
  // The sign of negative numbers, not of -0 and denormals; in the zero group every code is 0.
  uvec4 negative = mix(uvec4(0u), uvec4(8u), greaterThan(floatBitsToUint(x), uvec4(0x807fffffu)));
  return ivec4(mix(code | negative, uvec4(0u), equal(e.rcp, vec4(0.0))));
}

// fp32 bits of four codes' magnitudes in the table.
uvec4 nibFp4Magnitude4(ivec4 code) {
  return nibSelect4(code, FP4_V0, FP4_V1, FP4_V2, FP4_V3, FP4_V4, FP4_V5, FP4_V6, FP4_V7);
}

// fp32 bits of four codes' values; a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  uvec4 bits = nibProduct4(uintBitsToFloat(nibFp4Magnitude4(code)), d.scale);
  uvec4 sign = ((uvec4(code) & 8u) << 28) ^ d.scale.sign;
  return bits | mix(sign, uvec4(0u), equal(d.scale.least, uvec4(0xffffffffu)));
}

#define NIB_PART_IS_TABLE  // nibPart4 depends on the code only
#define NIB_PART_VALUES 16
vec4 nibPart4(ivec4 code, NibPart p) {
  return uintBitsToFloat(nibFp4Magnitude4(code) | ((uvec4(code) & 8u) << 28));
}

#endif
