// Affine codes, value = (code - zero) * scale, for a format.glsl that defines NIB_BITS, NIB_TWOS_COMPLEMENT and NIB_RUN.
// An app that decodes in its own shader needs NibDecoder, nibMakeDecoder and nibDecode. Twin of src/formats/affine.h.
#ifndef NIBBLE_FORMATS_AFFINE_GLSL
#define NIBBLE_FORMATS_AFFINE_GLSL

#include "common/exact.glsl"
#include "common/scale_store.glsl"

#define NIB_LEVELS ((1u << NIB_BITS) - 1u)
#define NIB_MID (1u << (NIB_BITS - 1u))
// fp32 bits of levels/2 = 2^(bits-1) - 1/2: the exponent of 2^(bits-2) and a mantissa of bits-1 ones.
#define NIB_HALF_LEVELS_BITS (((125u + NIB_BITS) << 23) | ((NIB_LEVELS >> 1) << (24u - NIB_BITS) & 0x7fffffu))

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

NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  if ((flags & NIB_ASYMMETRIC) == 0u) {
    // qmax + 1/2 is levels/2.
    uint steps = (flags & NIB_NARROW) != 0u ? floatBitsToUint(float(NIB_MID - 1u)) : NIB_HALF_LEVELS_BITS;
    return nibRoundFound(nibDivBits(absmax_bits, steps), scale_type, NIB_CENTER);
  }
  // 0 belongs to the range. Halves first: max - min may overflow.
  uint low = int(min_bits) < 0 ? min_bits : 0u;
  uint high = int(max_bits) < 0 ? 0u : max_bits;
  precise float half_range = nibHalve(uintBitsToFloat(high)) - nibHalve(uintBitsToFloat(low));
  NibFound found = nibRoundFound(nibDivBits(floatBitsToUint(half_range), NIB_HALF_LEVELS_BITS), scale_type, NIB_CENTER);
  float steps = roundEven(uintBitsToFloat(nibDivBits(low & 0x7fffffffu, found.bits)));
  int zero = NIB_FIRST + int(min(steps, float(NIB_LEVELS)));
  found.zero = found.bits == 0u ? NIB_CENTER : zero;
  return found;
}

// Four elements at a time, each with a scale of its own: give the same one four times where they share it.
struct NibEncoder {
  vec4 rcp;     // 1/scale, 0 for the zero group
  ivec4 first;  // codes
  ivec4 last;
  ivec4 zero;
};

NibEncoder nibMakeEncoder(uvec4 rcp_bits, ivec4 zero, uint flags) {
  NibEncoder e;
  e.rcp = uintBitsToFloat(rcp_bits);
  e.first = ivec4((flags & (NIB_NARROW | NIB_ASYMMETRIC)) == NIB_NARROW ? NIB_FIRST + 1 : NIB_FIRST);
  e.last = ivec4(NIB_LAST);
  e.zero = zero;
  return e;
}

// Codes of finite x of less than 2^11 steps.
ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = x * e.rcp;
  // So adding 1.5 * 2^23 rounds it half-even to an integer in the low mantissa bits.
  precise vec4 rounded = y + 12582912.0;
  return clamp(floatBitsToInt(rounded) + (e.zero - 0x4b400000), e.first, e.last);
}

struct NibDecoder {
  vec4 scale;  // or a 256th of it where a product could overflow
  uvec4 limit; // bits of the largest product that does not
  uvec4 grow;  // undoes the 256th, in the exponent
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

// fp32 bits of four codes' values. Values too large for fp32 become its largest; a zero group is +0.
uvec4 nibDecode4(ivec4 code, NibDecoder d) {
  ivec4 steps = (code - d.zero) & d.mask;
  precise vec4 value = vec4(steps) * d.scale;
  uvec4 bits = floatBitsToUint(nibBounded(value, d.limit));
  // 0 must stay 0, and has no exponent to grow.
  return bits + mix(uvec4(0u), d.grow, notEqual(steps, ivec4(0)));
}

#endif
