// Rounding a found scale to its stored type, and the zero-group rule. src/formats/scale_store.h is the C++ counterpart.
#ifndef NIB_NUMERICS_SCALE_STORE_GLSL
#define NIB_NUMERICS_SCALE_STORE_GLSL

#include "common/nibble_constants.h"
#include "numerics/exact.glsl"

// The stored representation of a non-negative finite scale; larger ones saturate.
uint nibScaleToStored(uint bits, uint type) {
  if (type == NIB_F16) return nibF32ToHalfSatBits(bits);
  if (type == NIB_BF16) return nibF32ToBf16SatBits(bits);
  return bits;
}

uint nibScaleFromStored(uint stored, uint type) {
  if (type == NIB_F16) return nibHalfToF32Bits(stored);
  if (type == NIB_BF16) return nibBf16ToF32Bits(stored);
  if (type == NIB_E8M0) return stored << 23;  // NaN becomes Inf and 2^-127 becomes 0: neither is a valid scale
  return stored;
}

// NIB_SIGNED_SCALES is defined by formats whose scales may be negative.
#ifdef NIB_SIGNED_SCALES
const bool kNibSignedScales = true;
#else
const bool kNibSignedScales = false;
#endif

// Whether a scale is from 2^-120 on and finite; others make the zero group.
bool nibIsRuled(uint bits, bool may_be_negative) {
  uint magnitude = may_be_negative ? bits & 0x7fffffffu : bits;
  return magnitude - 0x03800000u < 0x7c000000u;
}

uint nibRuledScale(uint bits, bool may_be_negative) {
  return nibIsRuled(bits, may_be_negative) ? bits : 0u;
}

uint nibRuledScale(uint bits) {
  return nibRuledScale(bits, kNibSignedScales);
}

// A scale as found: stored is its representation in scale_type (0 for the zero group), bits its fp32 value.
struct NibFound {
  uint stored;
  uint bits;
  int zero;  // zero point, as the format keeps codes
  bool saturated;
};

NibFound nibRoundFound(uint bits, uint type, int zero) {
  NibFound found;
  // fp16 saturates from 65520 on, which would round to infinity; other types above 2^126, whose reciprocal would be
  // denormal.
  found.saturated = type == NIB_F16 ? bits >= 0x477ff000u : bits > 0x7e800000u;
  uint stored = nibScaleToStored(min(bits, 0x7e800000u), type);
  found.bits = nibRuledScale(nibScaleFromStored(stored, type));
  found.stored = found.bits == 0u ? 0u : stored;
  found.zero = zero;
  return found;
}

// 1/scale of a scale that nibRuledScale returned; 0 for the zero group.
uint nibReciprocal(uint scale_bits) {
  return scale_bits == 0u ? 0u : nibDivBits(0x3f800000u, scale_bits);
}

// x with its magnitude limited to `bound`, by its bits: float minima cost more where the compiler must handle NaN.
vec4 nibBounded(vec4 x, uvec4 bound) {
  uvec4 bits = floatBitsToUint(x);
  return uintBitsToFloat(min(bits & 0x7fffffffu, bound) | (bits & 0x80000000u));
}

// 2^NIB_REACH steps are beyond every code, and nibEncode4 takes elements of less than twice that.
#ifndef NIB_REACH
#define NIB_REACH 10u
#endif

// Bits of an |x| whose product with the reciprocal is at least 2^NIB_REACH and below twice that, or of the largest
// finite number if that |x| is not finite. Only fp16 scales need the bound: a found scale of another type never
// saturates so early that an element of its group is that many steps.
uvec4 nibEncoderBound(uvec4 rcp_bits) {
  uvec4 exponent = rcp_bits >> 23;
  return mix(uvec4(0x7f7fffffu), (254u + NIB_REACH - exponent) << 23, greaterThanEqual(exponent, uvec4(NIB_REACH)));
}

#endif
