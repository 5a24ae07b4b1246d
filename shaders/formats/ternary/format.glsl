// Ternary (BitNet b1.58, arXiv 2402.17764): -1, 0 and 1 times the mean of the magnitudes or, NARROW, the largest. As
// offset binary (code + 2), sixteen codes to a word, the first in the low bits: a blob of int2 without its lowest code.
// An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIB_FORMATS_TERNARY_GLSL
#define NIB_FORMATS_TERNARY_GLSL

#define NIB_BITS_PER_CODE 2
#define NIB_BITS 2u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16
#define NIB_MEAN_SCALE
#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"
#include "formats/affine_decode.glsl"
#include "formats/reciprocal.glsl"

// absmax_bits is the mean unless NARROW.
NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(absmax_bits, scale_type, NIB_CENTER);
}

// Nearest of -1, 0 and 1; ties give 0, the even one. An element may be any number of steps.
ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = x * e.rcp;
  return NIB_CENTER + ivec4(greaterThan(y, vec4(0.5))) - ivec4(lessThan(y, vec4(-0.5)));
}

#endif
