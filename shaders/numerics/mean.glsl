// The mean of magnitudes as an integer sum, so that the order of addition does not matter. Each magnitude is a multiple
// of 2^-22 times the largest one's power of two, rounded half up. src/numerics/mean.h is the C++ counterpart and
// derives the error bound.
#ifndef NIB_NUMERICS_MEAN_GLSL
#define NIB_NUMERICS_MEAN_GLSL

#include "numerics/exact.glsl"

// Magnitudes (fp32 bits) in units of 2^-22, at most 2^23 each. largest: exponent fields of the largest magnitudes.
uvec4 nibMeanPart4(uvec4 magnitude, uvec4 largest) {
  // From 24 on less than half a unit is left, which rounds to 0.
  uvec4 below = min(largest - (magnitude >> 23), uvec4(24u));
  uvec4 part = (((magnitude & 0x7fffffu) | 0x800000u) + (uvec4(1u) << below)) >> (below + 1u);
  return mix(part, uvec4(0u), lessThan(magnitude, uvec4(0x00800000u)));
}

uint nibMeanPart(uint magnitude, uint largest) {
  return nibMeanPart4(uvec4(magnitude), uvec4(largest)).x;
}

// Adds part * 2^shift to a sum of 64 bits, low word first. shift is below 32.
uvec2 nibWideAdd(uvec2 wide, uint part, uint shift) {
  uint carry;
  uint low = uaddCarry(wide.x, part << shift, carry);
  return uvec2(low, wide.y + ((part >> 1) >> (31u - shift)) + carry);
}

// A sum of 64 bits as fp32 bits, rounded half-even.
uint nibWideToF32Bits(uvec2 wide) {
  uint low = wide.x;
  uint high = wide.y;
  if (high == 0u && low == 0u) return 0u;
  uint top = high != 0u ? 32u + uint(findMSB(high)) : uint(findMSB(low));
  if (top < 24u) {
    return ((top + 127u) << 23) + ((low << (23u - top)) & 0x7fffffu);
  }
  // 24 bits from the highest set bit down, and the bits below them as a remainder.
  uint mantissa;
  uint rest;  // left-aligned in 32 bits; its last bit is set if any lower bit is
  uint drop = top - 23u;
  if (drop < 32u) {
    mantissa = (low >> drop) | (high << (32u - drop));
    rest = low << (32u - drop);
  } else if (drop == 32u) {
    mantissa = high;
    rest = low;
  } else {
    mantissa = high >> (drop - 32u);
    rest = (high << (64u - drop)) | (low >> (drop - 32u)) | (low != 0u ? 1u : 0u);
  }
  bool up = rest > 0x80000000u || (rest == 0x80000000u && (mantissa & 1u) != 0u);
  // A carry out of the mantissa increments the exponent.
  return ((top + 126u) << 23) + mantissa + (up ? 1u : 0u);
}

// fp32 bits of the mean of `count` magnitudes whose nibMeanPart values add up to `sum`; 0 below 2^-126. largest: an
// exponent field.
uint nibMeanBits(uvec2 sum, uint count, uint largest) {
  uint quotient = nibDivBits(nibWideToF32Bits(sum), nibWideToF32Bits(uvec2(count, 0u)));
  int exponent = int(quotient >> 23) + int(largest) - 149;  // a unit is 2^(E - 22)
  return exponent < 1 || quotient == 0u ? 0u : (uint(exponent) << 23) | (quotient & 0x7fffffu);
}

#endif
