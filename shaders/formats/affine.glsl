// Affine codes: finding scales and encoding; decoding is in affine_decode.glsl. src/formats/affine.h is the C++
// counterpart.
#ifndef NIB_FORMATS_AFFINE_GLSL
#define NIB_FORMATS_AFFINE_GLSL

#include "numerics/exact.glsl"
#include "numerics/scale_store.glsl"
#include "formats/affine_decode.glsl"

// fp32 bits of levels/2 = 2^(bits-1) - 1/2: the exponent of 2^(bits-2) and a mantissa of bits-1 ones.
#define NIB_HALF_LEVELS_BITS (((125u + NIB_BITS) << 23) | ((NIB_LEVELS >> 1) << (24u - NIB_BITS) & 0x7fffffu))

// The codes in use: of 4 bits with FOUR_BITS, else of all.
#define NIB_USES_FOUR(flags) (NIB_BITS == 8u && NIB_TWOS_COMPLEMENT && ((flags) & NIB_FOUR_BITS) != 0u)

NibFound nibFindScale(uint min_bits, uint max_bits, uint absmax_bits, uint flags, uint scale_type) {
  bool four = NIB_USES_FOUR(flags);
  uint half_levels = four ? 0x40f00000u : NIB_HALF_LEVELS_BITS;
  if ((flags & NIB_ASYMMETRIC) == 0u) {
    // qmax + 1/2 is levels/2.
    uint most = floatBitsToUint(four ? 7.0 : float(NIB_MID - 1u));
    uint steps = (flags & NIB_NARROW) != 0u ? most : half_levels;
    return nibRoundFound(nibDivBits(absmax_bits, steps), scale_type, NIB_CENTER);
  }
  // The range includes 0. max and min are halved first, because max - min may overflow.
  uint low = int(min_bits) < 0 ? min_bits : 0u;
  uint high = int(max_bits) < 0 ? 0u : max_bits;
  precise float half_range = nibHalve(uintBitsToFloat(high)) - nibHalve(uintBitsToFloat(low));
  NibFound found = nibRoundFound(nibDivBits(floatBitsToUint(half_range), half_levels), scale_type, NIB_CENTER);
  float steps = roundEven(uintBitsToFloat(nibDivBits(low & 0x7fffffffu, found.bits)));
  int zero = (four ? -8 : NIB_FIRST) + int(min(steps, four ? 15.0 : float(NIB_LEVELS)));
  found.zero = found.bits == 0u ? NIB_CENTER : zero;
  return found;
}

// Encodes four elements, each with its own scale: repeat a shared one four times.
struct NibEncoder {
  vec4 rcp;     // 1/scale, 0 for the zero group
  ivec4 first;  // codes
  ivec4 last;
  ivec4 zero;
};

NibEncoder nibMakeEncoder(uvec4 rcp_bits, ivec4 zero, uint flags) {
  NibEncoder e;
  e.rcp = uintBitsToFloat(rcp_bits);
  bool four = NIB_USES_FOUR(flags);
  int first = four ? -8 : NIB_FIRST;
  e.first = ivec4((flags & (NIB_NARROW | NIB_ASYMMETRIC)) == NIB_NARROW ? first + 1 : first);
  e.last = ivec4(four ? 7 : NIB_LAST);
  e.zero = zero;
  return e;
}

// Codes of finite elements of less than 2^11 steps.
ivec4 nibEncode4(vec4 x, NibEncoder e) {
  precise vec4 y = x * e.rcp;
  // Adding 1.5 * 2^23 rounds half-even to an integer in the low mantissa bits.
  precise vec4 rounded = y + 12582912.0;
  return clamp(floatBitsToInt(rounded) + (e.zero - 0x4b400000), e.first, e.last);
}

#endif
