// MXFP4 (OCP Microscaling 1.0): E2M1 codes and a power of two per 32 elements. Eight codes to a word, the first in the
// low nibble. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIB_FORMATS_MXFP4_GLSL
#define NIB_FORMATS_MXFP4_GLSL

#include "numerics/exact.glsl"
#include "numerics/product.glsl"
#include "numerics/scale_store.glsl"
#define NIB_PRODUCT_DECODER
#include "formats/scale_only.glsl"
#define NIB_SIGN_BIT 8u
#include "formats/reciprocal.glsl"

#define NIB_BITS_PER_CODE 4
#define NIB_BITS 4u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16

// The exponent of absmax minus 2, the exponent of E2M1's largest value. Rules other than the default raise absmax
// first.
NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  uint rule = flags & NIB_SCALE_RULE;
  uint raised = absmax_bits;
  if (rule == NIB_SCALE_CEIL) raised += 0x007fffffu;
  if (rule == NIB_SCALE_EVEN) raised += 0x00200000u;
  if (rule == NIB_SCALE_RCEIL) raised += 0x003fffffu;
  uint exponent = raised >> 23;
  NibFound found;
  found.stored = exponent >= 9u ? exponent - 2u : 0u;  // 2^-120 is 7
  found.bits = found.stored << 23;
  found.zero = 0;
  found.saturated = false;
  return found;
}

// Nearest of 0, 1/2, 1, 3/2, 2, 3, 4 and 6, ties to even, saturating. The sign is always that of the element.
ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = abs(x) * e.rcp;
  uvec4 code = uvec4(greaterThan(y, vec4(0.25))) + uvec4(greaterThanEqual(y, vec4(0.75))) +
               uvec4(greaterThan(y, vec4(1.25))) + uvec4(greaterThanEqual(y, vec4(1.75))) +
               uvec4(greaterThan(y, vec4(2.5))) + uvec4(greaterThanEqual(y, vec4(3.5))) +
               uvec4(greaterThan(y, vec4(5.0)));
  return ivec4(code | ((floatBitsToUint(x) >> 28) & e.sign));
}

// fp32 bits of four codes' magnitudes without their scale.
uvec4 nibE2m1Magnitude4(ivec4 code) {
  uvec4 c = uvec4(code) & 7u;
  uvec4 value = ((c >> 1) + 126u) << 23 | (c & 1u) << 22;
  return mix(value, c * 0x3f000000u, lessThan(c, uvec4(2u)));  // 0 and 1/2
}

// fp32 bits of four codes' values; a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  uvec4 bits = nibProduct4(uintBitsToFloat(nibE2m1Magnitude4(code)), d.scale);
  return bits | mix((uvec4(code) & 8u) << 28, uvec4(0u), equal(d.scale.least, uvec4(0xffffffffu)));
}

#define NIB_PART_VALUES 16  // nibPart4 depends on the code only
vec4 nibPart4(ivec4 code, NibPart p) {
  return uintBitsToFloat(nibE2m1Magnitude4(code) | ((uvec4(code) & 8u) << 28));
}

#endif
