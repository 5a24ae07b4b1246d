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

// Stored code or zero byte <-> its unsigned form.
uint nibToUnsigned(uint stored) {
  return NIB_TWOS_COMPLEMENT ? (stored ^ NIB_MID) & NIB_LEVELS : stored & NIB_LEVELS;
}

uint nibFromUnsigned(uint code) {
  return NIB_TWOS_COMPLEMENT ? code ^ NIB_MID : code;
}

uint nibZeroToByte(uint zero) {
  return nibFromUnsigned(zero);
}

uint nibZeroFromByte(uint stored, uint flags) {
  return (flags & NIB_ASYMMETRIC) != 0u ? nibToUnsigned(stored) : NIB_MID;
}

NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  if ((flags & NIB_ASYMMETRIC) == 0u) {
    // qmax + 1/2 is levels/2.
    uint steps = (flags & NIB_NARROW) != 0u ? floatBitsToUint(float(NIB_MID - 1u)) : NIB_HALF_LEVELS_BITS;
    return nibRoundFound(nibDivBits(absmax_bits, steps), scale_type, NIB_MID);
  }
  // 0 belongs to the range. Halves first: max - min may overflow.
  uint low = int(min_bits) < 0 ? min_bits : 0u;
  uint high = int(max_bits) < 0 ? 0u : max_bits;
  precise float half_range = nibHalve(uintBitsToFloat(high)) - nibHalve(uintBitsToFloat(low));
  NibFound found = nibRoundFound(nibDivBits(floatBitsToUint(half_range), NIB_HALF_LEVELS_BITS),
                                 scale_type, NIB_MID);
  float zero = roundEven(uintBitsToFloat(nibDivBits(low & 0x7fffffffu, found.bits)));
  found.zero = found.bits == 0u ? NIB_MID : uint(int(min(zero, float(NIB_LEVELS))));
  return found;
}

struct NibEncoder {
  float rcp;    // 1/scale, 0 for the zero group
  float bound;  // |x| from which every code is saturated, so that x * rcp need not overflow
  float low;    // codes' range less the zero point
  float high;
  int zero;
};

NibEncoder nibMakeEncoderFromReciprocal(uint rcp_bits, uint zero, uint flags) {
  NibEncoder e;
  e.rcp = uintBitsToFloat(rcp_bits);
  e.bound = nibEncoderBound(rcp_bits);
  int first = (flags & (NIB_NARROW | NIB_ASYMMETRIC)) == NIB_NARROW ? 1 : 0;
  e.low = float(first - int(zero));
  e.high = float(int(NIB_LEVELS) - int(zero));
  e.zero = int(zero);
  return e;
}

// Code of a finite x in stored representation. given: the scale was not found from this data.
uint nibEncode(float x, NibEncoder e, bool given) {
  if (given) x = clamp(x, -e.bound, e.bound);
  precise float y = x * e.rcp;
  return nibFromUnsigned(uint(int(clamp(roundEven(y), e.low, e.high)) + e.zero));
}

struct NibDecoder {
  float scale;
  float part;   // scale, or a 256th of it where a product could overflow
  float limit;  // the largest product with part that does not overflow
  uint grow;    // undoes the 256th, in the exponent
  int zero;
};

// scale_bits: the stored scale as fp32, after nibRuledScale.
NibDecoder nibMakeDecoder(uint scale_bits, uint zero) {
  NibDecoder d;
  bool large = scale_bits >= 0x7b000000u;  // 2^119: times 255 may reach 2^128
  d.scale = uintBitsToFloat(scale_bits);
  d.part = uintBitsToFloat(large ? scale_bits - 0x04000000u : scale_bits);
  d.limit = uintBitsToFloat(large ? 0x7b7fffffu : 0x7f7fffffu);
  d.grow = large ? 0x04000000u : 0u;
  d.zero = int(zero);
  return d;
}

// Value of a code for finite results.
float nibDecode(uint code, NibDecoder d) {
  precise float value = float(int(nibToUnsigned(code)) - d.zero) * d.scale;
  return value;
}

// The same as fp32 bits, with overflow giving the infinity on every device, and never -0.
uint nibDecodeBits(uint code, NibDecoder d) {
  precise float value = float(int(nibToUnsigned(code)) - d.zero) * d.part;
  uint bits = floatBitsToUint(value);
  uint grown = abs(value) > d.limit ? (bits & 0x80000000u) | 0x7f800000u : bits + d.grow;
  return (bits & 0x7fffffffu) == 0u ? 0u : grown;
}

#endif
