// The C++ counterpart of shaders/numerics/exact.glsl: the same names and the same bits, written separately from the
// definitions.
//
// Functions use integer arithmetic only, so that FTZ, DAZ, the rounding mode and x87 cannot change a result. A function
// ending in Bits takes and returns fp32 values as their bit patterns and is defined for every pattern. The one without
// Bits takes or returns a float.
#ifndef NIB_NUMERICS_EXACT_H
#define NIB_NUMERICS_EXACT_H

#include <bit>
#include <cstdint>

namespace nib::exact {

static_assert(sizeof(float) == 4);

inline constexpr std::uint32_t kSignBit = 0x80000000u;
inline constexpr std::uint32_t kInfBits = 0x7f800000u;
inline constexpr std::uint32_t kMaxFiniteBits = 0x7f7fffffu;
inline constexpr std::uint32_t kNanBits = 0x7fc00000u;

constexpr std::uint32_t bitsOf(float x) noexcept { return std::bit_cast<std::uint32_t>(x); }
constexpr float floatOf(std::uint32_t bits) noexcept { return std::bit_cast<float>(bits); }

constexpr std::uint32_t magnitudeOf(std::uint32_t bits) noexcept { return bits & ~kSignBit; }
constexpr std::uint32_t signOf(std::uint32_t bits) noexcept { return bits & kSignBit; }
constexpr int exponentFieldOf(std::uint32_t bits) noexcept { return static_cast<int>((bits >> 23) & 0xffu); }
// The 24-bit integer m of a normal value m * 2^(exponent field - 150).
constexpr std::uint32_t mantissaOf(std::uint32_t bits) noexcept { return (bits & 0x007fffffu) | 0x00800000u; }

// value / 2^drop, rounded to nearest, ties to even. drop is at least 1 and at most 63.
constexpr std::uint64_t shiftRightHalfEven(std::uint64_t value, int drop) noexcept {
  const std::uint64_t quotient = value >> drop;
  const std::uint64_t rest = value - (quotient << drop);
  const std::uint64_t half = std::uint64_t{1} << (drop - 1);
  const bool up = rest > half || (rest == half && (quotient & 1u) != 0);
  return quotient + (up ? 1u : 0u);
}

// True for Inf and NaN.
constexpr bool nibIsNonFinite(std::uint32_t bits) noexcept { return exponentFieldOf(bits) == 255; }

// fp32 denormals become zero of the same sign; every other pattern is returned as it is.
constexpr std::uint32_t nibFlushBits(std::uint32_t bits) noexcept {
  return exponentFieldOf(bits) == 0 ? signOf(bits) : bits;
}

constexpr float nibFlush(float x) noexcept { return floatOf(nibFlushBits(bitsOf(x))); }

// x/2. Results below 2^-126 become zero of the same sign; Inf and NaN are returned as they are.
constexpr std::uint32_t nibHalveBits(std::uint32_t bits) noexcept {
  const int exponent = exponentFieldOf(bits);
  if (exponent == 255) return bits;
  if (exponent <= 1) return signOf(bits);
  return bits - (1u << 23);
}

constexpr float nibHalve(float x) noexcept { return floatOf(nibHalveBits(bitsOf(x))); }

// A uint that orders as the value does. Denormals and -0 get the key of +0 (0x80000000). +Inf and then +NaN sort above
// the finite values, -Inf and then -NaN below. 0xffffffff starts a minimum, 0 a maximum.
constexpr std::uint32_t nibKey(std::uint32_t bits) noexcept {
  if (exponentFieldOf(bits) == 0) return 0x80000000u;
  return signOf(bits) != 0 ? 0x7fffffffu - magnitudeOf(bits) : 0x80000000u + magnitudeOf(bits);
}

// The fp32 pattern of a key: nibUnkey(nibKey(b)) is b with denormals and -0 made +0. One to one on all keys.
constexpr std::uint32_t nibUnkey(std::uint32_t key) noexcept {
  return key >= 0x80000000u ? key - 0x80000000u : kSignBit | (0x7fffffffu - key);
}

// a/b rounded to nearest even at 24 bits as if the exponent had no bounds; then a result of 2^128 or more becomes the
// largest finite value, one below 2^-126 becomes 0. The sign is always that of a xor that of b. Denormal operands count
// as zero. 0/b is 0, also 0/0; a/0 is the largest finite value for other a. Exponent 255 is read as an ordinary
// exponent (Inf as 2^128): the result is finite but meaningless; test with nibIsNonFinite first.
constexpr std::uint32_t nibDivBits(std::uint32_t a, std::uint32_t b) noexcept {
  const std::uint32_t sign = signOf(a) ^ signOf(b);
  if (exponentFieldOf(a) == 0) return sign;
  if (exponentFieldOf(b) == 0) return sign | kMaxFiniteBits;

  // 25 or 26 quotient bits, and below them a sticky bit: 1 if the remainder is not 0.
  const std::uint64_t dividend = std::uint64_t{mantissaOf(a)} << 25;
  const std::uint64_t divisor = mantissaOf(b);
  const std::uint64_t quotient = (dividend / divisor) << 1 | (dividend % divisor != 0 ? 1u : 0u);

  const int drop = static_cast<int>(std::bit_width(quotient)) - 24;
  std::uint64_t mantissa = shiftRightHalfEven(quotient, drop);
  int exponent = exponentFieldOf(a) - exponentFieldOf(b) + drop + 124;
  if (mantissa == 0x01000000u) {
    mantissa >>= 1;
    ++exponent;
  }
  if (exponent >= 255) return sign | kMaxFiniteBits;
  if (exponent <= 0) return sign;
  return sign | static_cast<std::uint32_t>(exponent) << 23 | (static_cast<std::uint32_t>(mantissa) & 0x007fffffu);
}

constexpr float nibDiv(float a, float b) noexcept { return floatOf(nibDivBits(bitsOf(a), bitsOf(b))); }

// The square root rounded to nearest even. Negative patterns (-0 too) and denormals give +0. Exponent 255 is read as an
// ordinary exponent: the result is finite but meaningless.
constexpr std::uint32_t nibSqrtBits(std::uint32_t a) noexcept {
  const int exponent = exponentFieldOf(a);
  if (signOf(a) != 0 || exponent == 0) return 0;

  // a = radicand * 2^power with an even power and a radicand of 49 or 50 bits, whose root has 25 bits.
  int power = exponent - 150 - 25;
  std::uint64_t radicand = std::uint64_t{mantissaOf(a)} << 25;
  if (power % 2 != 0) {
    radicand <<= 1;
    --power;
  }
  std::uint64_t root = 0;
  for (int bit = 24; bit >= 0; --bit) {
    const std::uint64_t trial = root | std::uint64_t{1} << bit;
    if (trial * trial <= radicand) root = trial;
  }
  const std::uint64_t rest = root * root != radicand ? 1u : 0u;
  const std::uint32_t mantissa = static_cast<std::uint32_t>(shiftRightHalfEven(root << 1 | rest, 2));
  // The root of a 24-bit mantissa never rounds up to the next power of two, so mantissa has 24 bits.
  return static_cast<std::uint32_t>(power / 2 + 1 + 150) << 23 | (mantissa & 0x007fffffu);
}

constexpr float nibSqrt(float a) noexcept { return floatOf(nibSqrtBits(bitsOf(a))); }

// The int rounded to nearest even, as fp32 bits.
constexpr std::uint32_t nibI32ToF32Bits(std::int32_t i) noexcept {
  if (i == 0) return 0;
  const std::uint32_t sign = i < 0 ? kSignBit : 0u;
  const std::uint64_t magnitude = static_cast<std::uint64_t>(i < 0 ? -std::int64_t{i} : std::int64_t{i});
  // 32 zero bits below, so that drop is never negative.
  const std::uint64_t wide = magnitude << 32;
  const int drop = static_cast<int>(std::bit_width(wide)) - 24;
  std::uint64_t mantissa = shiftRightHalfEven(wide, drop);
  int exponent = 150 + drop - 32;
  if (mantissa == 0x01000000u) {
    mantissa >>= 1;
    ++exponent;
  }
  return sign | static_cast<std::uint32_t>(exponent) << 23 | (static_cast<std::uint32_t>(mantissa) & 0x007fffffu);
}

constexpr float nibI32ToF32(std::int32_t i) noexcept { return floatOf(nibI32ToF32Bits(i)); }

// A float type with fewer bits than fp32 and with denormals. Its bias is 2^(exponent_bits - 1) - 1.
struct SmallFloat {
  int exponent_bits;
  int mantissa_bits;

  constexpr int bias() const noexcept { return (1 << (exponent_bits - 1)) - 1; }
};

inline constexpr SmallFloat kHalf{5, 10};
inline constexpr SmallFloat kE4m3{4, 3};
inline constexpr SmallFloat kE5m2{5, 2};

// The code nearest to a finite fp32 magnitude, ties to even, as if the type's exponent had no upper bound: the caller
// handles overflow. fp32 denormals give 0, because they are far below half the smallest denormal of each type here.
constexpr std::uint32_t roundToSmall(std::uint32_t magnitude, SmallFloat type) noexcept {
  const int exponent = exponentFieldOf(magnitude);
  if (exponent == 0) return 0;
  // The magnitude is mantissa * 2^(exponent - 150); neighbouring codes differ by 2^unit there.
  const int lowest_unit = 1 - type.bias() - type.mantissa_bits;
  const int own_unit = exponent - 127 - type.mantissa_bits;
  const int unit = own_unit > lowest_unit ? own_unit : lowest_unit;
  const int drop = unit - (exponent - 150);
  if (drop > 63) return 0;
  const std::uint32_t units = static_cast<std::uint32_t>(shiftRightHalfEven(mantissaOf(magnitude), drop));
  // Codes are consecutive integers across exponents: each exponent step starts 2^mantissa_bits codes further on.
  return static_cast<std::uint32_t>((unit - lowest_unit) << type.mantissa_bits) + units;
}

// The fp32 magnitude of a finite code, exactly.
constexpr std::uint32_t widenSmall(std::uint32_t code, SmallFloat type) noexcept {
  const std::uint32_t hidden = 1u << type.mantissa_bits;
  std::uint32_t mantissa = code & (hidden - 1u);
  int exponent = static_cast<int>(code >> type.mantissa_bits);
  if (exponent != 0) {
    mantissa |= hidden;
  } else {
    if (mantissa == 0) return 0;
    exponent = 1;
    while ((mantissa & hidden) == 0) {
      mantissa <<= 1;
      --exponent;
    }
  }
  const std::uint32_t fraction = (mantissa - hidden) << (23 - type.mantissa_bits);
  return static_cast<std::uint32_t>(exponent - type.bias() + 127) << 23 | fraction;
}

// The half in the low 16 bits (the upper ones are ignored) as fp32 bits: exact, denormal halves too; Inf and NaN keep
// their bits.
constexpr std::uint32_t nibHalfToF32Bits(std::uint32_t h) noexcept {
  const std::uint32_t sign = (h & 0x8000u) << 16;
  const std::uint32_t magnitude = h & 0x7fffu;
  if (magnitude >= 0x7c00u) return sign | kInfBits | (magnitude & 0x03ffu) << 13;
  return sign | widenSmall(magnitude, kHalf);
}

constexpr float nibHalfToF32(std::uint32_t h) noexcept { return floatOf(nibHalfToF32Bits(h)); }

// The half nearest to an fp32, ties to even, in the low 16 bits. 65520 and above give Inf; NaN gives 0x7e00 with the
// sign kept.
constexpr std::uint32_t nibF32ToHalfBits(std::uint32_t bits) noexcept {
  const std::uint32_t sign = signOf(bits) >> 16;
  const std::uint32_t magnitude = magnitudeOf(bits);
  if (magnitude > kInfBits) return sign | 0x7e00u;
  if (magnitude == kInfBits) return sign | 0x7c00u;
  const std::uint32_t h = roundToSmall(magnitude, kHalf);
  return sign | (h > 0x7c00u ? 0x7c00u : h);
}

constexpr std::uint32_t nibF32ToHalf(float x) noexcept { return nibF32ToHalfBits(bitsOf(x)); }

// The same, but finite values too large for a half give +-65504 (0x7bff). Inf stays Inf.
constexpr std::uint32_t nibF32ToHalfSatBits(std::uint32_t bits) noexcept {
  const std::uint32_t h = nibF32ToHalfBits(bits);
  const bool overflowed = !nibIsNonFinite(bits) && (h & 0x7fffu) == 0x7c00u;
  return overflowed ? h - 1u : h;
}

constexpr std::uint32_t nibF32ToHalfSat(float x) noexcept { return nibF32ToHalfSatBits(bitsOf(x)); }

// The bfloat16 in the low 16 bits (the upper ones are ignored) as fp32 bits. Denormals give zero of the same sign; Inf
// and NaN keep their bits.
constexpr std::uint32_t nibBf16ToF32Bits(std::uint32_t b) noexcept { return nibFlushBits((b & 0xffffu) << 16); }

constexpr float nibBf16ToF32(std::uint32_t b) noexcept { return floatOf(nibBf16ToF32Bits(b)); }

// The bfloat16 nearest to an fp32, ties to even, in the low 16 bits. Denormals give zero of the same sign; overflow by
// rounding gives Inf; NaN gives 0x7fc0 with the sign kept.
constexpr std::uint32_t nibF32ToBf16Bits(std::uint32_t bits) noexcept {
  const std::uint32_t sign = signOf(bits) >> 16;
  const std::uint32_t magnitude = magnitudeOf(bits);
  if (magnitude > kInfBits) return sign | 0x7fc0u;
  if (exponentFieldOf(bits) == 0) return sign;
  return sign | static_cast<std::uint32_t>(shiftRightHalfEven(magnitude, 16));
}

constexpr std::uint32_t nibF32ToBf16(float x) noexcept { return nibF32ToBf16Bits(bitsOf(x)); }

// The same, but finite values that would round to Inf give +-0x7f7f. Inf stays Inf.
constexpr std::uint32_t nibF32ToBf16SatBits(std::uint32_t bits) noexcept {
  const std::uint32_t b = nibF32ToBf16Bits(bits);
  const bool overflowed = !nibIsNonFinite(bits) && (b & 0x7fffu) == 0x7f80u;
  return overflowed ? b - 1u : b;
}

constexpr std::uint32_t nibF32ToBf16Sat(float x) noexcept { return nibF32ToBf16SatBits(bitsOf(x)); }

// The FP8 E4M3FN code in the low 8 bits (the upper ones are ignored) as fp32 bits: exact; 0x7f gives 0x7fc00000, with
// the sign kept.
constexpr std::uint32_t nibE4m3ToF32Bits(std::uint32_t code) noexcept {
  const std::uint32_t sign = (code & 0x80u) << 24;
  const std::uint32_t magnitude = code & 0x7fu;
  return sign | (magnitude == 0x7fu ? kNanBits : widenSmall(magnitude, kE4m3));
}

constexpr float nibE4m3ToF32(std::uint32_t code) noexcept { return floatOf(nibE4m3ToF32Bits(code)); }

// The E4M3FN code nearest to an fp32, ties to even; finite values beyond 448 give 448 (0x7e). Inf and NaN give 0x7f.
// The sign is always kept.
constexpr std::uint32_t nibF32ToE4m3Bits(std::uint32_t bits) noexcept {
  const std::uint32_t sign = signOf(bits) >> 24;
  if (nibIsNonFinite(bits)) return sign | 0x7fu;
  const std::uint32_t code = roundToSmall(magnitudeOf(bits), kE4m3);
  return sign | (code > 0x7eu ? 0x7eu : code);
}

constexpr std::uint32_t nibF32ToE4m3(float x) noexcept { return nibF32ToE4m3Bits(bitsOf(x)); }

// The FP8 E5M2 code in the low 8 bits (the upper ones are ignored) as fp32 bits: exact; Inf and NaN keep their bits.
constexpr std::uint32_t nibE5m2ToF32Bits(std::uint32_t code) noexcept {
  const std::uint32_t sign = (code & 0x80u) << 24;
  const std::uint32_t magnitude = code & 0x7fu;
  if (magnitude >= 0x7cu) return sign | kInfBits | (magnitude & 0x03u) << 21;
  return sign | widenSmall(magnitude, kE5m2);
}

constexpr float nibE5m2ToF32(std::uint32_t code) noexcept { return floatOf(nibE5m2ToF32Bits(code)); }

// The E5M2 code nearest to an fp32, ties to even; finite values beyond 57344 give 57344 (0x7b). Inf and NaN give 0x7f.
// The sign is always kept.
constexpr std::uint32_t nibF32ToE5m2Bits(std::uint32_t bits) noexcept {
  const std::uint32_t sign = signOf(bits) >> 24;
  if (nibIsNonFinite(bits)) return sign | 0x7fu;
  const std::uint32_t code = roundToSmall(magnitudeOf(bits), kE5m2);
  return sign | (code > 0x7bu ? 0x7bu : code);
}

constexpr std::uint32_t nibF32ToE5m2(float x) noexcept { return nibF32ToE5m2Bits(bitsOf(x)); }

}  // namespace nib::exact

#endif
