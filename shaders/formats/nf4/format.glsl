// NF4: sixteen quantiles of the normal distribution times the absmax of a block. Eight codes to a word, the first in
// the low nibble. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIB_FORMATS_NF4_GLSL
#define NIB_FORMATS_NF4_GLSL

#define NIB_HAS_NESTED
#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"
#include "formats/scale_only.glsl"
#include "formats/reciprocal.glsl"
#include "formats/select.glsl"
#include "formats/nf4/table.h"

#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16

NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(absmax_bits, scale_type, 0);
}

#define NIB_NF4_T(i) vec4(uintBitsToFloat(i))

// Four comparisons down the tree of thresholds; a value on a threshold gets the lower code. In the zero group every
// element gets code 7, whose value is 0.
ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = x * e.rcp;
  bvec4 b3 = greaterThan(y, NIB_NF4_T(NF4_T7));
  vec4 t1 = mix(NIB_NF4_T(NF4_T3), NIB_NF4_T(NF4_T11), b3);
  bvec4 b2 = greaterThan(y, t1);
  vec4 low = mix(NIB_NF4_T(NF4_T1), NIB_NF4_T(NF4_T9), b3);
  vec4 high = mix(NIB_NF4_T(NF4_T5), NIB_NF4_T(NF4_T13), b3);
  bvec4 b1 = greaterThan(y, mix(low, high, b2));
  vec4 t00 = mix(NIB_NF4_T(NF4_T0), NIB_NF4_T(NF4_T8), b3);
  vec4 t01 = mix(NIB_NF4_T(NF4_T2), NIB_NF4_T(NF4_T10), b3);
  vec4 t10 = mix(NIB_NF4_T(NF4_T4), NIB_NF4_T(NF4_T12), b3);
  vec4 t11 = mix(NIB_NF4_T(NF4_T6), NIB_NF4_T(NF4_T14), b3);
  bvec4 b0 = greaterThan(y, mix(mix(t00, t01, b1), mix(t10, t11, b1), b2));
  return ivec4(b3) * 8 + ivec4(b2) * 4 + ivec4(b1) * 2 + ivec4(b0);
}

struct NibDecoder {
  vec4 scale;
};

// scale_bits: stored scales as fp32, after nibRuledScale.
NibDecoder nibMakeDecoder(uvec4 scale_bits, ivec4 zero) {
  NibDecoder d;
  d.scale = uintBitsToFloat(scale_bits);
  return d;
}

// fp32 bits of four codes' values in the table.
uvec4 nibNf4Value4(ivec4 code) {
  uvec4 low = nibSelect4(code, NF4_V0, NF4_V1, NF4_V2, NF4_V3, NF4_V4, NF4_V5, NF4_V6, NF4_V7);
  uvec4 high = nibSelect4(code, NF4_V8, NF4_V9, NF4_V10, NF4_V11, NF4_V12, NF4_V13, NF4_V14, NF4_V15);
  return mix(low, high, notEqual(code & 8, ivec4(0)));
}

// fp32 bits of four codes' values. |table value| <= 1, so nothing overflows; a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  precise vec4 value = uintBitsToFloat(nibNf4Value4(code)) * d.scale;
  return mix(floatBitsToUint(value), uvec4(0u), equal(d.scale, vec4(0.0)));
}

#define NIB_PART_IS_TABLE  // nibPart4 depends on the code only
#define NIB_PART_VALUES 16
vec4 nibPart4(ivec4 code, NibPart p) {
  return uintBitsToFloat(nibNf4Value4(code));
}

#endif
