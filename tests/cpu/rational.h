// Decides by integer comparisons whether a result is correct: no division, no root, no hardware floating point.
// Operands are the 24-bit mantissas m and biased exponents e of values m * 2^(e - 150); every product below fits 64
// bits.
#ifndef NIB_TESTS_RATIONAL_H
#define NIB_TESTS_RATIONAL_H

#include <cstdint>

namespace nib::rational {

struct Parts {
  bool negative;
  int exponent;
  std::uint64_t mantissa;
};

constexpr Parts partsOf(std::uint32_t bits) {
  return {(bits >> 31) != 0, static_cast<int>((bits >> 23) & 255u), (bits & 0x7fffffu) | 0x800000u};
}

constexpr std::uint64_t distance(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

// True when the fp32 pattern `result` is a/b under the contract of nibDivBits, for a and b with exponent field 1...255.
constexpr bool isQuotient(std::uint32_t a, std::uint32_t b, std::uint32_t result) {
  const Parts x = partsOf(a), y = partsOf(b), q = partsOf(result);
  if (q.negative != (x.negative != y.negative)) return false;
  const int e = x.exponent - y.exponent;  // |a/b| = x.mantissa / y.mantissa * 2^e, the first factor between 1/2 and 2

  if ((result & 0x7fffffffu) == 0) {
    // Flushed: |a/b| must be below the midpoint of 2^-126 and the 24-bit number before it, 2^-126 - 2^-151.
    if (e <= -128) return true;
    if (e >= -124) return false;
    const int up = e + 127;  // 0...2: both sides times 2^151
    return (x.mantissa << (24 + up)) < y.mantissa * ((1u << 25) - 1u);
  }
  if (q.exponent == 0 || q.exponent == 255) return false;
  if ((result & 0x7fffffffu) == 0x7f7fffffu) {
    // Saturated: everything from 2^128 - 2^103 up. Below it the largest finite value is an ordinary result.
    if (e >= 129) return true;
    if (e >= 127 && (x.mantissa << (e - 127 + 24)) >= y.mantissa * ((1u << 25) - 1u)) return true;
  }

  // In units of the result's ulp, times y.mantissa: |x 2^scale - q y| against y / 2.
  const int scale = e - (q.exponent - 150);
  if (scale < 22 || scale > 25) return false;
  const std::uint64_t exact = x.mantissa << scale, found = q.mantissa * y.mantissa;
  const std::uint64_t error = distance(exact, found);
  // Below a power of two the ulp is half as large.
  if (q.mantissa == 0x800000u && exact < found) return 4 * error <= y.mantissa;
  if (2 * error == y.mantissa) return (q.mantissa & 1u) == 0;
  return 2 * error < y.mantissa;
}

// True when the fp32 pattern `result` is the root of a, rounded to nearest even, for a > 0 with exponent field 1...255.
constexpr bool isRoot(std::uint32_t a, std::uint32_t result) {
  const Parts x = partsOf(a), r = partsOf(result);
  if (r.negative || r.exponent == 0 || r.exponent == 255) return false;
  // a in units of the square of the result's ulp.
  const int scale = x.exponent - 150 - 2 * (r.exponent - 150);
  if (scale < 21 || scale > 26) return false;
  const std::uint64_t square = x.mantissa << scale;
  const std::uint64_t above = 2 * r.mantissa + 1;
  if (4 * square > above * above || (4 * square == above * above && (r.mantissa & 1u) != 0)) return false;
  if (r.mantissa == 0x800000u) return 16 * square >= (4 * r.mantissa - 1) * (4 * r.mantissa - 1);
  const std::uint64_t below = 2 * r.mantissa - 1;
  return 4 * square > below * below || (4 * square == below * below && (r.mantissa & 1u) == 0);
}

// True when the fp32 pattern `result` is the integer i, rounded to nearest even.
constexpr bool isInteger(std::int32_t i, std::uint32_t result) {
  if (i == 0) return result == 0;
  const Parts r = partsOf(result);
  if (r.negative != (i < 0) || r.exponent < 127 || r.exponent > 158) return false;
  // Both are scaled by 2^24, so that a result with a fraction is detected.
  const std::uint64_t exact = static_cast<std::uint64_t>(i < 0 ? -std::int64_t{i} : std::int64_t{i}) << 24;
  const int shift = r.exponent - 150 + 24;
  const std::uint64_t found = r.mantissa << shift, ulp = std::uint64_t{1} << shift;
  const std::uint64_t error = distance(exact, found);
  if (r.mantissa == 0x800000u && exact < found) return 4 * error <= ulp;
  if (2 * error == ulp) return (r.mantissa & 1u) == 0;
  return 2 * error < ulp;
}

}  // namespace nib::rational

#endif
