// fp32 sums and products as bit patterns, each rounded once to nearest even, infinities and NaN included: the C++
// counterpart of shaders/numerics/float_bits.glsl, with integer arithmetic only, as exact.h. Operands are canonical
// patterns, as nibCanonicalBits makes them. Results below 2^-126 and all zeros are +0; results beyond fp32 are
// infinite; every NaN is 0x7fc00000.
#ifndef NIB_NUMERICS_FLOAT_BITS_H
#define NIB_NUMERICS_FLOAT_BITS_H

#include "numerics/exact.h"

namespace nib::exact {

// Denormals become zeros and every NaN the quiet one, both with their sign.
constexpr std::uint32_t nibCanonicalBits(std::uint32_t bits) noexcept {
  return magnitudeOf(bits) > kInfBits ? signOf(bits) | kNanBits : nibFlushBits(bits);
}

// value * 2^power rounded to 24 bits. value is not 0 and has at most 63 bits.
constexpr std::uint32_t roundedBits(std::uint32_t sign, std::uint64_t value, int power) noexcept {
  const int drop = static_cast<int>(std::bit_width(value)) - 24;
  std::uint64_t mantissa = drop > 0 ? shiftRightHalfEven(value, drop) : value << -drop;
  int exponent = power + drop + 150;
  if (mantissa == 0x01000000u) {
    mantissa >>= 1;
    ++exponent;
  }
  if (exponent >= 255) return sign | kInfBits;
  if (exponent <= 0) return 0;
  return sign | static_cast<std::uint32_t>(exponent) << 23 | (static_cast<std::uint32_t>(mantissa) & 0x007fffffu);
}

constexpr std::uint32_t nibSumBits(std::uint32_t a, std::uint32_t b) noexcept {
  if (magnitudeOf(a) < magnitudeOf(b)) return nibSumBits(b, a);
  if (magnitudeOf(a) > kInfBits) return kNanBits;
  if (magnitudeOf(a) == kInfBits) return magnitudeOf(b) == kInfBits && a != b ? kNanBits : a;
  if (magnitudeOf(b) == 0) return magnitudeOf(a) == 0 ? 0 : a;
  // 32 more bits below a's last one. Bits of b below those only decide on which side of a midpoint the sum lies.
  const int apart = exponentFieldOf(a) - exponentFieldOf(b);
  const std::uint64_t large = std::uint64_t{mantissaOf(a)} << 32;
  const std::uint64_t small = apart <= 32 ? std::uint64_t{mantissaOf(b)} << 32 >> apart : 1u;
  const std::uint64_t sum = signOf(a) == signOf(b) ? large + small : large - small;
  return sum == 0 ? 0 : roundedBits(signOf(a), sum, exponentFieldOf(a) - 150 - 32);
}

constexpr std::uint32_t nibProductBits(std::uint32_t a, std::uint32_t b) noexcept {
  if (magnitudeOf(a) > kInfBits || magnitudeOf(b) > kInfBits) return kNanBits;
  const std::uint32_t sign = signOf(a) ^ signOf(b);
  const bool none = magnitudeOf(a) == 0 || magnitudeOf(b) == 0;
  if (magnitudeOf(a) == kInfBits || magnitudeOf(b) == kInfBits) return none ? kNanBits : sign | kInfBits;
  if (none) return 0;
  const std::uint64_t product = std::uint64_t{mantissaOf(a)} * mantissaOf(b);
  return roundedBits(sign, product, exponentFieldOf(a) + exponentFieldOf(b) - 300);
}

}  // namespace nib::exact

#endif
