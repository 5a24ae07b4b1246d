// Floats of 8 bits, four codes to a word. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and
// nibDecode4. src/formats/fp8.h is the C++ counterpart. The including format.glsl defines
//   NIB_MANTISSA_BITS, NIB_BIAS
//   NIB_LAST_CODE     code of the largest number
//   NIB_LARGEST_BITS  fp32 bits of the largest number
//   NIB_NAN_ABOVE     codes after NIB_LAST_CODE are infinite up to this one and then NaN
//   NIB_REACH         see numerics/scale_store.glsl
#ifndef NIB_FORMATS_FP8_GLSL
#define NIB_FORMATS_FP8_GLSL

#define NIB_NONFINITE_CODES
#include "numerics/exact.glsl"
#include "numerics/product.glsl"
#include "numerics/scale_store.glsl"
#define NIB_PRODUCT_DECODER
#include "formats/scale_only.glsl"
#define NIB_SIGN_BIT 0x80u
#include "formats/reciprocal.glsl"

#define NIB_BITS_PER_CODE 8
#define NIB_BITS 8u
#define NIB_TWOS_COMPLEMENT false
#define NIB_RUN 16

#define NIB_FP8_SHIFT (23u - NIB_MANTISSA_BITS)
// The difference of the biases, added to a code's exponent after it was shifted to its position in fp32.
#define NIB_FP8_REBIAS ((127u - NIB_BIAS) << 23)
// fp32 bits of the smallest normal number, 2^(1 - bias), and of a number whose ulp is that of denormal codes.
#define NIB_FP8_LEAST ((128u - NIB_BIAS) << 23)
#define NIB_FP8_UNIT ((151u - NIB_BIAS - NIB_MANTISSA_BITS) << 23)

// The absmax gets the largest code.
NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  return nibRoundFound(nibDivBits(absmax_bits, NIB_LARGEST_BITS), scale_type, 0);
}

// Nearest codes, ties to even, saturating. The sign is always that of the element.
ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = nibFlush4(x) * e.rcp;
  uvec4 magnitude = floatBitsToUint(y) & 0x7fffffffu;
  const uint kBelowHalf = (1u << (NIB_FP8_SHIFT - 1u)) - 1u;
  uvec4 code = (magnitude + ((magnitude >> NIB_FP8_SHIFT) & 1u) - (NIB_FP8_REBIAS - kBelowHalf)) >> NIB_FP8_SHIFT;
  // Denormal codes: the sum rounds to a multiple of their ulp.
  precise vec4 sum = uintBitsToFloat(magnitude) + uintBitsToFloat(NIB_FP8_UNIT);
  code = mix(code, floatBitsToUint(sum) - NIB_FP8_UNIT, lessThan(magnitude, uvec4(NIB_FP8_LEAST)));
  return ivec4(min(code, uvec4(NIB_LAST_CODE)) | ((floatBitsToUint(x) >> 24) & e.sign));
}

// The values of four codes without sign and scale; meaningless for codes of infinity and NaN.
vec4 nibFp8Magnitude4(uvec4 magnitude) {
  uvec4 bits = (magnitude << NIB_FP8_SHIFT) + NIB_FP8_REBIAS;
  // The difference subtracts the leading one, which denormals lack.
  precise vec4 denormal = uintBitsToFloat(bits + 0x00800000u) - uintBitsToFloat(NIB_FP8_LEAST);
  return mix(uintBitsToFloat(bits), denormal, lessThan(magnitude, uvec4(1u << NIB_MANTISSA_BITS)));
}

// `bits`, replaced by infinity or NaN for codes of those.
uvec4 nibFp8Beyond4(uvec4 bits, uvec4 magnitude) {
  uvec4 beyond = mix(uvec4(0x7f800000u), uvec4(0x7fc00000u), greaterThan(magnitude, uvec4(NIB_NAN_ABOVE)));
  return mix(bits, beyond, greaterThan(magnitude, uvec4(NIB_LAST_CODE)));
}

// fp32 bits of four codes' values, with infinity and NaN; everything in a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  uvec4 magnitude = uvec4(code) & 0x7fu;
  uvec4 result = nibFp8Beyond4(nibProduct4(nibFp8Magnitude4(magnitude), d.scale), magnitude);
  return mix(result | ((uvec4(code) & 0x80u) << 24), uvec4(0u), equal(d.scale.least, uvec4(0xffffffffu)));
}

#define NIB_PART_VALUES 256  // nibPart4 depends on the code only
vec4 nibPart4(ivec4 code, NibPart p) {
  uvec4 magnitude = uvec4(code) & 0x7fu;
  uvec4 bits = nibFp8Beyond4(floatBitsToUint(nibFp8Magnitude4(magnitude)), magnitude);
  return uintBitsToFloat(bits | ((uvec4(code) & 0x80u) << 24));
}

#endif
