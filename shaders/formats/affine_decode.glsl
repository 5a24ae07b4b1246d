// Decoding affine codes, value = (code - zero) * scale. The including format.glsl defines NIB_BITS, NIB_TWOS_COMPLEMENT
// and NIB_RUN. An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode4.
#ifndef NIB_FORMATS_AFFINE_DECODE_GLSL
#define NIB_FORMATS_AFFINE_DECODE_GLSL

#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"

#define NIB_LEVELS ((1u << NIB_BITS) - 1u)
#define NIB_MID (1u << (NIB_BITS - 1u))

// Codes and zero points are kept as ints in the stored representation: -2^(bits-1).. or 0..levels.
#define NIB_FIRST (NIB_TWOS_COMPLEMENT ? -int(NIB_MID) : 0)
#define NIB_LAST (NIB_FIRST + int(NIB_LEVELS))
// The zero point of symmetric codes.
#define NIB_CENTER (NIB_FIRST + int(NIB_MID))

uint nibZeroToStored(int zero) {
  return uint(zero) & NIB_LEVELS;
}

int nibZeroFromStored(uint stored, uint flags) {
  int code = NIB_TWOS_COMPLEMENT ? int(stored << (32u - NIB_BITS)) >> (32u - NIB_BITS) : int(stored & NIB_LEVELS);
  return (flags & NIB_ASYMMETRIC) != 0u ? code : NIB_CENTER;
}

struct NibDecoder {
  vec4 scale;  // or scale / 256 if a product could overflow
  uvec4 limit; // bits of the largest product that does not overflow
  uvec4 grow;  // added to a product's exponent to undo the division
  ivec4 zero;
  ivec4 mask;  // 0 for the zero group
};

// scale_bits: stored scales as fp32, after nibRuledScale. zero: as nibZeroFromStored gives it.
NibDecoder nibMakeDecoder(uvec4 scale_bits, ivec4 zero) {
  NibDecoder d;
  bvec4 large = greaterThanEqual(scale_bits, uvec4(0x7b000000u));  // 2^119: times 255 may reach 2^128
  d.grow = mix(uvec4(0u), uvec4(0x04000000u), large);
  d.scale = uintBitsToFloat(scale_bits - d.grow);
  d.limit = mix(uvec4(0x7f7fffffu), uvec4(0x7b7fffffu), large);
  d.zero = zero;
  d.mask = mix(ivec4(-1), ivec4(0), equal(scale_bits, uvec4(0u)));
  return d;
}

// fp32 bits of four codes' values. Values above fp32's range become its largest number; a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  ivec4 steps = (code - d.zero) & d.mask;
  precise vec4 value = vec4(steps) * d.scale;
  uvec4 bits = floatBitsToUint(nibBounded(value, d.limit));
  // 0 has no exponent to increase.
  return bits + mix(uvec4(0u), d.grow, notEqual(steps, ivec4(0)));
}

// For sums of products: value = nibPart4(code, p) * p.scale, so that the sum is scaled once.
struct NibPart {
  float scale;
  int zero;
};

NibPart nibMakePart(uint scale_bits, int zero) {
  return NibPart(uintBitsToFloat(scale_bits), zero);
}

vec4 nibPart4(ivec4 code, NibPart p) {
  return vec4(code - p.zero);
}

// value = (count - nibPartZero(p)) * p.scale, where a code counts from the lowest.
#define NIB_PART_HAS_ZERO
float nibPartZero(NibPart p) {
  return float(p.zero - NIB_FIRST);
}

#endif
