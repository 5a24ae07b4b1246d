// Floats of 8 bits, for a format.glsl that defines NIB_MANTISSA_BITS, NIB_BIAS, NIB_LAST_CODE (the largest number's),
// NIB_LARGEST_BITS (its fp32 bits), NIB_NAN_ABOVE (codes beyond the last number are infinite up to this, then NaN) and
// NIB_REACH. Four codes to a word. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
// Twin of src/formats/fp8.h.
#ifndef NIB_FORMATS_FP8_GLSL
#define NIB_FORMATS_FP8_GLSL

#define NIB_NONFINITE_CODES
#include "numerics/exact.glsl"
#include "numerics/product.glsl"
#include "numerics/scale_store.glsl"

#define NIB_BITS_PER_CODE 8
#define NIB_BITS 8u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16

#define NIB_FP8_SHIFT (23u - NIB_MANTISSA_BITS)
// What is added to a code's bits where fp32's are: the difference of the biases.
#define NIB_FP8_REBIAS ((127u - NIB_BIAS) << 23)
// fp32 bits of the smallest number that is no denormal, 2^(1 - bias), and of the number whose ulp is the denormals' unit.
#define NIB_FP8_LEAST ((128u - NIB_BIAS) << 23)
#define NIB_FP8_UNIT ((151u - NIB_BIAS - NIB_MANTISSA_BITS) << 23)

uint nibZeroToStored(int zero) {
  return 0u;
}

int nibZeroFromStored(uint stored, uint flags) {
  return 0;
}

// The absmax is the largest code.
NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(nibDivBits(absmax_bits, NIB_LARGEST_BITS), scale_type, 0);
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
  const uint kBelowHalf = (1u << (NIB_FP8_SHIFT - 1u)) - 1u;
  uvec4 code = (magnitude + ((magnitude >> NIB_FP8_SHIFT) & 1u) - (NIB_FP8_REBIAS - kBelowHalf)) >> NIB_FP8_SHIFT;
  // Denormal codes: a sum rounds to their unit.
  precise vec4 sum = uintBitsToFloat(magnitude) + uintBitsToFloat(NIB_FP8_UNIT);
  code = mix(code, floatBitsToUint(sum) - NIB_FP8_UNIT, lessThan(magnitude, uvec4(NIB_FP8_LEAST)));
  return ivec4(min(code, uvec4(NIB_LAST_CODE)) | ((floatBitsToUint(x) >> 24) & e.sign));
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

// Four codes' magnitudes without their scale, of numbers.
vec4 nibFp8Magnitude4(uvec4 magnitude) {
  uvec4 bits = (magnitude << NIB_FP8_SHIFT) + NIB_FP8_REBIAS;
  // As if with a leading one, and without it.
  precise vec4 denormal = uintBitsToFloat(bits + 0x00800000u) - uintBitsToFloat(NIB_FP8_LEAST);
  return mix(uintBitsToFloat(bits), denormal, lessThan(magnitude, uvec4(1u << NIB_MANTISSA_BITS)));
}

// `bits`, or infinity or NaN where the code is that.
uvec4 nibFp8Beyond4(uvec4 bits, uvec4 magnitude) {
  uvec4 beyond = mix(uvec4(0x7f800000u), uvec4(0x7fc00000u), greaterThan(magnitude, uvec4(NIB_NAN_ABOVE)));
  return mix(bits, beyond, greaterThan(magnitude, uvec4(NIB_LAST_CODE)));
}

// fp32 bits of four codes' values; a zero group is +0, codes that are no numbers stay so.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  uvec4 magnitude = uvec4(code) & 0x7fu;
  uvec4 result = nibFp8Beyond4(nibProduct4(nibFp8Magnitude4(magnitude), d.scale), magnitude);
  return mix(result | ((uvec4(code) & 0x80u) << 24), uvec4(0u), equal(d.scale.least, uvec4(0xffffffffu)));
}

// For products of many: value = nibPart4(code, p) * p.scale, so that the scale is applied to a sum.
struct NibPart {
  float scale;
};

NibPart nibMakePart(uint scale_bits, int zero) {
  return NibPart(uintBitsToFloat(scale_bits));
}

vec4 nibPart4(ivec4 code, NibPart p) {
  uvec4 magnitude = uvec4(code) & 0x7fu;
  uvec4 bits = nibFp8Beyond4(floatBitsToUint(nibFp8Magnitude4(magnitude)), magnitude);
  return uintBitsToFloat(bits | ((uvec4(code) & 0x80u) << 24));
}

#endif
