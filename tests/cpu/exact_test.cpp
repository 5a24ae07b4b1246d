// Tests of numerics/exact.h. Every function is compared with a definition that shares no code with it: integer
// comparisons (rational.h) for division, root and integers, sorted tables of exact midpoints for the small float types.
// Hardware IEEE arithmetic is a second reference. About 80 million cases in three seconds.
#include "numerics/exact.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "../shaders/exact_probe.h"
#include "exact_inputs.h"
#include "rational.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>
#define NIB_TEST_HAS_MXCSR 1
#endif

using namespace nib::exact;
using nib::exact_inputs::anyNormal;
using nib::exact_inputs::kEdgeCount;
using nib::exact_inputs::kEdges;
using nib::exact_inputs::Random;

namespace {

// Counts wrong results and keeps the first: a CHECK per case would take minutes.
class Tally {
 public:
  void expect(bool right, std::uint32_t a, std::uint32_t b, std::uint32_t result) {
    ++cases_;
    if (right) return;
    if (wrong_++ == 0) {
      char text[96];
      std::snprintf(text, sizeof text, "first: a 0x%08x b 0x%08x gave 0x%08x", a, b, result);
      first_ = text;
    }
  }
  void expectEqual(std::uint32_t result, std::uint32_t wanted, std::uint32_t a, std::uint32_t b = 0) {
    expect(result == wanted, a, b, result);
  }
  std::uint64_t wrong() const { return wrong_; }
  std::uint64_t cases() const { return cases_; }
  const std::string& first() const { return first_; }

 private:
  std::uint64_t cases_ = 0;
  std::uint64_t wrong_ = 0;
  std::string first_ = "none";
};

void checkNoneWrong(const Tally& tally) {
  INFO(tally.cases(), " cases, ", tally.first());
  CHECK(tally.wrong() == 0);
}

bool isNormal(std::uint32_t bits) {
  const int exponent = exponentFieldOf(bits);
  return exponent != 0 && exponent != 255;
}

bool isOrdinary(std::uint32_t bits) { return isNormal(bits) || magnitudeOf(bits) == 0; }

// A random pattern with a non-zero exponent field, including Inf and NaN, which are read as ordinary numbers.
std::uint32_t anyNonZero(Random& random) { return anyNormal(random, 1, 255); }

// Definitions.

// The value of a finite magnitude code, exact in a double for every type here.
double valueOfCode(std::uint32_t code, int mantissa_bits, int bias) {
  const int exponent = static_cast<int>(code >> mantissa_bits);
  const int fraction = static_cast<int>(code & ((1u << mantissa_bits) - 1u));
  const int whole = exponent == 0 ? fraction : fraction + (1 << mantissa_bits);
  return std::ldexp(whole, std::max(exponent, 1) - bias - mantissa_bits);
}

// Rounding to nearest even as a table: midpoints[c] is the fp32 pattern halfway between magnitude codes c and c + 1.
struct RoundingTable {
  std::vector<std::uint32_t> midpoints;

  std::uint32_t nearest(std::uint32_t magnitude) const {
    const auto at = std::lower_bound(midpoints.begin(), midpoints.end(), magnitude);
    const std::uint32_t code = static_cast<std::uint32_t>(at - midpoints.begin());
    const bool tie = at != midpoints.end() && *at == magnitude;
    return tie && (code & 1u) != 0 ? code + 1 : code;
  }
};

// The midpoints between codes 0...last + 1, where last + 1 would be the type's next code: the last midpoint is the
// overflow limit.
RoundingTable makeTable(std::uint32_t last, int mantissa_bits, int bias) {
  RoundingTable table;
  for (std::uint32_t code = 0; code <= last; ++code) {
    const double middle = (valueOfCode(code, mantissa_bits, bias) + valueOfCode(code + 1, mantissa_bits, bias)) / 2;
    const float exact = static_cast<float>(middle);
    REQUIRE(static_cast<double>(exact) == middle);
    table.midpoints.push_back(bitsOf(exact));
  }
  return table;
}

using Convert = std::uint32_t (*)(std::uint32_t);

// Compares an encoder with a definition on all midpoints and codes, one ulp beside them, edges and random patterns.
template <class Definition>
void checkEncoder(Convert encode, const RoundingTable& table, Definition definition, std::uint64_t seed) {
  Tally tally;
  const auto both_signs = [&](std::uint32_t magnitude) {
    for (const std::uint32_t bits : {magnitude, magnitude | kSignBit})
      tally.expectEqual(encode(bits), definition(bits), bits);
  };
  std::uint32_t previous = 0;
  for (const std::uint32_t midpoint : table.midpoints) {
    const std::uint32_t between = previous + (midpoint - previous) / 2;
    for (std::uint32_t step = 0; step < 5; ++step) {
      both_signs(midpoint + step - 2);
      both_signs((between + step - 2) & ~kSignBit);
    }
    previous = midpoint;
  }
  for (const std::uint32_t edge : kEdges) both_signs(edge);
  Random random(seed);
  for (int i = 0; i < 500'000; ++i) {
    both_signs(random.next() & ~kSignBit);
    const std::uint32_t any = random.below(static_cast<std::uint32_t>(table.midpoints.size()));
    both_signs(table.midpoints[any] + random.below(65) - 32);
  }
  checkNoneWrong(tally);
}

// Division on a device that is only as accurate as Vulkan requires: the quotient is off by up to two ulp, and an exact
// residual corrects it. It models hardware that the software drivers in CI do not.
float inexactQuotient(float x, float y, int ulps) { return floatOf(bitsOf(x / y) + static_cast<std::uint32_t>(ulps)); }

float correctedQuotient(float x, float y, int ulps) {
  const float q = inexactQuotient(x, y, ulps);
  const double residual = static_cast<double>(x) - static_cast<double>(q) * static_cast<double>(y);  // exact
  const float correction = inexactQuotient(static_cast<float>(residual), y, -ulps);
  return static_cast<float>(static_cast<double>(q) + static_cast<double>(correction));
}

}  // namespace

TEST_CASE("exact division agrees with long-known quotients") {
  // 1/3 = 0.0101...b rounds up, 1/10 up, 2/3 up, 1/7 down; 10/5 and 1/1 are exact.
  CHECK(nibDivBits(0x3f800000u, 0x40400000u) == 0x3eaaaaabu);
  CHECK(nibDivBits(0x3f800000u, 0x41200000u) == 0x3dcccccdu);
  CHECK(nibDivBits(0x40000000u, 0x40400000u) == 0x3f2aaaabu);
  CHECK(nibDivBits(0x3f800000u, 0x40e00000u) == 0x3e124925u);
  CHECK(nibDiv(10.0f, 5.0f) == 2.0f);
  CHECK(nibDiv(-1.0f, 1.0f) == -1.0f);
  CHECK(nibDiv(1.0f, nibDiv(1.0f, 1024.0f)) == 1024.0f);
}

TEST_CASE("exact division is correctly rounded on random pairs of the full range") {
  Tally rational, hardware;
  Random random(1);
  for (int i = 0; i < 12'000'000; ++i) {
    const std::uint32_t a = anyNonZero(random), b = anyNonZero(random);
    const std::uint32_t q = nibDivBits(a, b);
    rational.expect(nib::rational::isQuotient(a, b, q), a, b, q);
    if (!isNormal(a) || !isNormal(b)) continue;
    const std::uint32_t ieee = bitsOf(floatOf(a) / floatOf(b));
    if (isNormal(ieee)) hardware.expectEqual(q, ieee, a, b);
  }
  checkNoneWrong(rational);
  checkNoneWrong(hardware);
}

TEST_CASE("exact division is correctly rounded where the exponents are close") {
  Tally rational, hardware;
  Random random(2);
  for (int i = 0; i < 3'000'000; ++i) {
    const std::uint32_t a = anyNormal(random, 120, 134), b = anyNormal(random, 120, 134);
    const std::uint32_t q = nibDivBits(a, b);
    rational.expect(nib::rational::isQuotient(a, b, q), a, b, q);
    hardware.expectEqual(q, bitsOf(floatOf(a) / floatOf(b)), a, b);
  }
  checkNoneWrong(rational);
  checkNoneWrong(hardware);
}

TEST_CASE("exact division is correctly rounded next to rounding midpoints, a corrected inexact quotient is not") {
  Tally rational, hardware, corrected;
  Random random(3);
  for (int i = 0; i < 6'000'000; ++i) {
    const auto [a, b] = nib::exact_inputs::pairNearMidpoint(random);
    const std::uint32_t q = nibDivBits(a, b);
    rational.expect(nib::rational::isQuotient(a, b, q), a, b, q);
    hardware.expectEqual(q, bitsOf(floatOf(a) / floatOf(b)), a, b);
    const std::uint32_t m = bitsOf(correctedQuotient(floatOf(a), floatOf(b), static_cast<int>(random.below(5)) - 2));
    corrected.expect(nib::rational::isQuotient(a, b, m), a, b, m);
  }
  checkNoneWrong(rational);
  checkNoneWrong(hardware);
  // The inputs must distinguish the two, else the test proves nothing.
  INFO(corrected.wrong(), " of ", corrected.cases(), " corrected quotients are wrong");
  CHECK(corrected.wrong() > 1000);
}

TEST_CASE("a corrected inexact quotient passes on random pairs, so constructed pairs are needed") {
  Tally corrected;
  Random random(4);
  for (int i = 0; i < 100'000; ++i) {
    const std::uint32_t a = anyNormal(random, 120, 134), b = anyNormal(random, 120, 134);
    const std::uint32_t m = bitsOf(correctedQuotient(floatOf(a), floatOf(b), static_cast<int>(random.below(5)) - 2));
    corrected.expect(nib::rational::isQuotient(a, b, m), a, b, m);
  }
  INFO(corrected.wrong(), " of ", corrected.cases());
  CHECK(corrected.wrong() < 100);
}

TEST_CASE("exact division is correctly rounded at overflow, at underflow and at the ends of mantissas") {
  Tally rational;
  Random random(5);
  const std::uint32_t ends[] = {0u,        1u,        2u,        3u,        0x3fffffu, 0x400000u,
                                0x400001u, 0x7ffffcu, 0x7ffffdu, 0x7ffffeu, 0x7fffffu};
  const auto check = [&](std::uint32_t a, std::uint32_t b) {
    const std::uint32_t q = nibDivBits(a, b);
    rational.expect(nib::rational::isQuotient(a, b, q), a, b, q);
  };
  // Every pair of extreme mantissas with the result's exponent across both limits, and all pairs of powers of two.
  for (const std::uint32_t ma : ends) {
    for (const std::uint32_t mb : ends) {
      for (std::uint32_t ea = 1; ea < 256; ++ea) {
        for (std::uint32_t eb : {1u, 2u, 126u, 127u, 128u, 129u, 253u, 254u, 255u}) check(ea << 23 | ma, eb << 23 | mb);
      }
    }
  }
  for (std::uint32_t ea = 1; ea < 256; ++ea) {
    for (std::uint32_t eb = 1; eb < 256; ++eb) check(ea << 23, kSignBit | eb << 23);
  }
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint32_t one = anyNormal(random, 125, 129);
    check(anyNormal(random, 1, 4), one);
    check(anyNormal(random, 251, 254), one);
  }
  checkNoneWrong(rational);
}

TEST_CASE("exact division gives signed zeros and saturates as documented") {
  const std::uint32_t denormals[] = {1u, 0x400000u, 0x7fffffu};
  for (const std::uint32_t sign_a : {0u, kSignBit}) {
    for (const std::uint32_t sign_b : {0u, kSignBit}) {
      const std::uint32_t sign = sign_a ^ sign_b;
      for (const std::uint32_t b : kEdges) CHECK(nibDivBits(sign_a, sign_b | b) == sign);
      for (const std::uint32_t denormal : denormals) {
        CHECK(nibDivBits(sign_a | denormal, sign_b | 0x3f800000u) == sign);
        CHECK(nibDivBits(sign_a | denormal, sign_b | denormal) == sign);
        CHECK(nibDivBits(sign_a | 0x3f800000u, sign_b | denormal) == (sign | kMaxFiniteBits));
        CHECK(nibDivBits(sign_a | 0x00800000u, sign_b | denormal) == (sign | kMaxFiniteBits));
      }
      CHECK(nibDivBits(sign_a | 0x3f800000u, sign_b) == (sign | kMaxFiniteBits));
      CHECK(nibDivBits(sign_a | 0x7f7fffffu, sign_b | 0x3f000000u) == (sign | kMaxFiniteBits));
      CHECK(nibDivBits(sign_a | 0x7f7fffffu, sign_b | 0x3f7fffffu) == (sign | kMaxFiniteBits));
      // 2^-126 / 1 stays; 2^-126 / 2 and (2^-126 + ulp) / 2 are flushed; just under 2^-126 rounds up to it.
      CHECK(nibDivBits(sign_a | 0x00800000u, sign_b | 0x3f800000u) == (sign | 0x00800000u));
      CHECK(nibDivBits(sign_a | 0x00800000u, sign_b | 0x40000000u) == sign);
      CHECK(nibDivBits(sign_a | 0x00800001u, sign_b | 0x40000000u) == sign);
      // Inf and NaN are read as numbers of exponent 128.
      CHECK(nibDivBits(sign_a | 0x7f800000u, sign_b | 0x7f800000u) == (sign | 0x3f800000u));
      CHECK(nibDivBits(sign_a | 0x3f800000u, sign_b | 0x7f800000u) == sign);
    }
  }
}

TEST_CASE("exact division never returns a denormal, an infinity or a NaN") {
  Tally tally;
  Random random(6);
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint32_t a = random.next(), b = i % 2 == 0 ? random.next() : nib::exact_inputs::anyEdge(random);
    const std::uint32_t q = nibDivBits(a, b);
    tally.expect(isOrdinary(q), a, b, q);
  }
  checkNoneWrong(tally);
}

TEST_CASE("the exact square root is correctly rounded on random values and powers of two") {
  Tally rational, hardware;
  Random random(7);
  const auto check = [&](std::uint32_t a) {
    const std::uint32_t r = nibSqrtBits(a);
    rational.expect(nib::rational::isRoot(a, r), a, 0, r);
    if (isNormal(a)) hardware.expectEqual(r, bitsOf(std::sqrt(floatOf(a))), a);
  };
  for (std::uint32_t e = 1; e < 256; ++e) {
    for (std::uint32_t m = 0; m < 64; ++m) {
      check(e << 23 | m);
      check(e << 23 | (0x7fffffu - m));
    }
  }
  for (int i = 0; i < 6'000'000; ++i) check(anyNonZero(random) & ~kSignBit);
  checkNoneWrong(rational);
  checkNoneWrong(hardware);
}

TEST_CASE("the exact square root is correctly rounded next to squares and next to rounding midpoints") {
  Tally rational;
  Random random(8);
  const auto check = [&](std::uint32_t a) {
    const std::uint32_t r = nibSqrtBits(a);
    rational.expect(nib::rational::isRoot(a, r), a, 0, r);
  };
  // Squares of 12-bit numbers are exact; their neighbours are the closest to a representable root.
  for (std::uint32_t n = 1; n < 4096; ++n) {
    const std::uint32_t square = nibI32ToF32Bits(static_cast<std::int32_t>(n * n));
    CHECK(nibSqrtBits(square) == nibI32ToF32Bits(static_cast<std::int32_t>(n)));
    check(square - 1);
    check(square + 1);
  }
  // A 25-bit odd s with s^2 = t modulo 2^k for a small t: (s^2 - t)/2^k has a root that misses the midpoint s/2 by
  // about t/4s.
  std::uint64_t found = 0;
  for (std::int64_t t = -80'007; t < 80'000; t += 8) {  // 1 modulo 8: the odd numbers with square roots modulo 2^k
    for (int k = 25; k <= 26; ++k) {
      const std::uint64_t modulus = std::uint64_t{1} << k;
      std::uint64_t s = 1;  // s^2 = t modulo 8; each step adds a bit to s that corrects one more bit of s^2
      for (int bit = 3; bit < k; ++bit) {
        if (((s * s - static_cast<std::uint64_t>(t)) >> bit & 1u) != 0) s += std::uint64_t{1} << (bit - 1);
      }
      for (const std::uint64_t root : {s, modulus - s, s + modulus / 2, modulus / 2 - s}) {
        const std::uint64_t midpoint = root & (modulus - 1);
        if (midpoint < 0x1000000u || midpoint >= 0x2000000u) continue;
        const std::uint64_t mantissa = (midpoint * midpoint - static_cast<std::uint64_t>(t)) >> k;
        if (mantissa < 0x800000u || mantissa >= 0x1000000u) continue;
        // Values in [1, 2) compare (2 root + 1)^2 with mantissa * 2^25, values in [2, 4) with mantissa * 2^26.
        const std::uint32_t exponent = (k == 25 ? 127u : 128u) + 2u * random.below(40);
        check(exponent << 23 | (static_cast<std::uint32_t>(mantissa) & 0x7fffffu));
        ++found;
      }
    }
  }
  CHECK(found > 20'000);
  checkNoneWrong(rational);
}

TEST_CASE("the exact square root of a negative, a zero or a denormal is zero") {
  for (const std::uint32_t edge : kEdges) CHECK(nibSqrtBits(edge | kSignBit) == 0);
  for (const std::uint32_t a : {0u, 1u, 0x400000u, 0x7fffffu}) CHECK(nibSqrtBits(a) == 0);
  CHECK(nibSqrt(2.0f) == floatOf(0x3fb504f3u));
  CHECK(nibSqrtBits(0x00800000u) == 0x20000000u);  // 2^-126 -> 2^-63
  CHECK(nibSqrtBits(0x7f800000u) == 0x5f800000u);  // Inf is read as 2^128
}

TEST_CASE("integers become floats rounded to nearest even") {
  Tally tally;
  const auto check = [&](std::uint32_t i) {
    const std::int32_t value = static_cast<std::int32_t>(i);
    const std::uint32_t result = nibI32ToF32Bits(value);
    tally.expect(nib::rational::isInteger(value, result), i, 0, result);
  };
  for (std::uint32_t i = 0; i < 70'000; ++i) {
    check(i);
    check(0u - i);
    check(0x80000000u + i);
    check(0x01000000u + i);
    check(0xff000000u - i);
  }
  // Around midpoints of the form 2^n + odd * half an ulp.
  Random random(9);
  for (int i = 0; i < 1'000'000; ++i) {
    const int shift = static_cast<int>(random.below(8));
    const std::uint32_t midpoint = (random.next() >> 7 | 0x01000001u) << shift >> 1;
    check(midpoint + random.below(3) - 1);
    check(0u - midpoint + random.below(3) - 1);
    check(random.next());
  }
  checkNoneWrong(tally);
}

TEST_CASE("every half converts to its fp32 value") {
  Tally tally;
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const std::uint32_t magnitude = h & 0x7fffu, sign = (h & 0x8000u) << 16;
    const std::uint32_t wanted = magnitude >= 0x7c00u ? 0x7f800000u | (magnitude & 0x3ffu) << 13
                                                      : bitsOf(static_cast<float>(valueOfCode(magnitude, 10, 15)));
    tally.expectEqual(nibHalfToF32Bits(h), sign | wanted, h);
    tally.expectEqual(nibHalfToF32Bits(h | 0xabcd0000u), sign | wanted, h);  // upper bits are ignored
    if (magnitude <= 0x7c00u) tally.expectEqual(nibF32ToHalfBits(nibHalfToF32Bits(h)), h, h);
  }
  checkNoneWrong(tally);
  CHECK(nibHalfToF32(0x0001u) == std::ldexp(1.0f, -24));
  CHECK(nibHalfToF32(0xfbffu) == -65504.0f);
}

TEST_CASE("fp32 converts to the nearest half, ties to even") {
  const RoundingTable table = makeTable(0x7bffu, 10, 15);
  const auto plain = [&](std::uint32_t bits) {
    const std::uint32_t magnitude = magnitudeOf(bits), sign = signOf(bits) >> 16;
    return sign | (magnitude > 0x7f800000u ? 0x7e00u : table.nearest(magnitude));
  };
  const auto saturating = [&](std::uint32_t bits) {
    const std::uint32_t h = plain(bits);
    return magnitudeOf(bits) < 0x7f800000u && (h & 0x7fffu) == 0x7c00u ? h - 1 : h;
  };
  checkEncoder(nibF32ToHalfBits, table, plain, 10);
  checkEncoder(nibF32ToHalfSatBits, table, saturating, 11);
  CHECK(nibF32ToHalf(65519.996f) == 0x7bffu);
  CHECK(nibF32ToHalf(65520.0f) == 0x7c00u);
  CHECK(nibF32ToHalfSat(-1e30f) == 0xfbffu);
  CHECK(nibF32ToHalfBits(0x33000000u) == 0u);  // 2^-25: a tie, to even
  CHECK(nibF32ToHalfBits(0x33000001u) == 1u);
}

TEST_CASE("every bfloat16 converts to its fp32 value, denormals to zero") {
  Tally tally;
  for (std::uint32_t b = 0; b < 65536; ++b) {
    const std::uint32_t wanted = (b & 0x7f80u) == 0 ? (b & 0x8000u) << 16 : b << 16;
    tally.expectEqual(nibBf16ToF32Bits(b), wanted, b);
    tally.expectEqual(nibBf16ToF32Bits(b | 0x12340000u), wanted, b);
  }
  checkNoneWrong(tally);
}

TEST_CASE("fp32 converts to the nearest bfloat16, ties to even, denormals to zero") {
  RoundingTable table;  // begins at the smallest normal code, 0x80
  for (std::uint32_t code = 0x80; code <= 0x7f7fu; ++code) table.midpoints.push_back(code << 16 | 0x8000u);
  const auto plain = [&](std::uint32_t bits) {
    const std::uint32_t magnitude = magnitudeOf(bits), sign = signOf(bits) >> 16;
    if (magnitude > 0x7f800000u) return sign | 0x7fc0u;
    if (magnitude < 0x00800000u) return sign;
    return sign | (table.nearest(magnitude) + 0x80u);
  };
  const auto saturating = [&](std::uint32_t bits) {
    const std::uint32_t b = plain(bits);
    return magnitudeOf(bits) < 0x7f800000u && (b & 0x7fffu) == 0x7f80u ? b - 1 : b;
  };
  checkEncoder(nibF32ToBf16Bits, table, plain, 12);
  checkEncoder(nibF32ToBf16SatBits, table, saturating, 13);
  CHECK(nibF32ToBf16(1.00390625f) == 0x3f80u);  // 1 + 2^-8: a tie, to even
  CHECK(nibF32ToBf16(1.01171875f) == 0x3f82u);
  CHECK(nibF32ToBf16Bits(0x7f800001u) == 0x7fc0u);
}

TEST_CASE("every E4M3 and E5M2 code converts to its fp32 value") {
  for (std::uint32_t code = 0; code < 256; ++code) {
    const std::uint32_t magnitude = code & 0x7fu, sign = (code & 0x80u) << 24;
    const std::uint32_t e4m3 =
        magnitude == 0x7fu ? 0x7fc00000u : bitsOf(static_cast<float>(valueOfCode(magnitude, 3, 7)));
    CHECK(nibE4m3ToF32Bits(code) == (sign | e4m3));
    CHECK(nibE4m3ToF32Bits(code | 0x5a5a5a00u) == (sign | e4m3));
    if (magnitude != 0x7fu) CHECK(nibF32ToE4m3Bits(sign | e4m3) == code);

    const std::uint32_t e5m2 = magnitude >= 0x7cu ? 0x7f800000u | (magnitude & 3u) << 21
                                                  : bitsOf(static_cast<float>(valueOfCode(magnitude, 2, 15)));
    CHECK(nibE5m2ToF32Bits(code) == (sign | e5m2));
    CHECK(nibE5m2ToF32Bits(code | 0x5a5a5a00u) == (sign | e5m2));
    if (magnitude < 0x7cu) CHECK(nibF32ToE5m2Bits(sign | e5m2) == code);
  }
  CHECK(nibE4m3ToF32(0x7eu) == 448.0f);
  CHECK(nibE4m3ToF32(0x01u) == std::ldexp(1.0f, -9));
  CHECK(nibE5m2ToF32(0x7bu) == 57344.0f);
  CHECK(nibE5m2ToF32(0x01u) == std::ldexp(1.0f, -16));
}

TEST_CASE("fp32 converts to the nearest E4M3 or E5M2 code, ties to even, saturating") {
  const RoundingTable e4m3 = makeTable(0x7eu, 3, 7);
  checkEncoder(
      nibF32ToE4m3Bits, e4m3,
      [&](std::uint32_t bits) {
        const std::uint32_t sign = signOf(bits) >> 24;
        return sign | (nibIsNonFinite(bits) ? 0x7fu : std::min(e4m3.nearest(magnitudeOf(bits)), 0x7eu));
      },
      14);
  const RoundingTable e5m2 = makeTable(0x7bu, 2, 15);
  checkEncoder(
      nibF32ToE5m2Bits, e5m2,
      [&](std::uint32_t bits) {
        const std::uint32_t sign = signOf(bits) >> 24;
        return sign | (nibIsNonFinite(bits) ? 0x7fu : std::min(e5m2.nearest(magnitudeOf(bits)), 0x7bu));
      },
      15);
  CHECK(nibF32ToE4m3(464.0f) == 0x7eu);
  CHECK(nibF32ToE4m3(-1e38f) == 0xfeu);
  CHECK(nibF32ToE5m2(61440.0f) == 0x7bu);
  CHECK(nibF32ToE5m2Bits(0xff800000u) == 0xffu);
}

TEST_CASE("flushing makes denormals zero and leaves every other pattern unchanged") {
  Tally tally;
  Random random(16);
  for (int i = 0; i < 500'000; ++i) {
    const std::uint32_t bits = i % 2 == 0 ? random.next() : random.next() & 0x80ffffffu;
    const bool denormal = std::fpclassify(floatOf(bits)) == FP_SUBNORMAL;
    tally.expectEqual(nibFlushBits(bits), denormal ? bits & kSignBit : bits, bits);
    tally.expect(nibIsNonFinite(bits) == !std::isfinite(floatOf(bits)), bits, 0, 0);
  }
  checkNoneWrong(tally);
  CHECK(nibFlush(1.5f) == 1.5f);
}

TEST_CASE("halving is exact and flushes results below the normal range") {
  Tally tally;
  Random random(17);
  const auto check = [&](std::uint32_t bits) {
    std::uint32_t wanted = bits;
    if (!nibIsNonFinite(bits)) {
      const double half = static_cast<double>(floatOf(bits)) / 2;
      wanted = std::fabs(half) < std::ldexp(1.0, -126) ? signOf(bits) : bitsOf(static_cast<float>(half));
    }
    tally.expectEqual(nibHalveBits(bits), wanted, bits);
  };
  for (const std::uint32_t edge : kEdges) {
    check(edge);
    check(edge | kSignBit);
  }
  for (int i = 0; i < 500'000; ++i) {
    check(random.next());
    check(random.next() & 0x81ffffffu);
  }
  checkNoneWrong(tally);
  CHECK(nibHalve(-3.0f) == -1.5f);
}

TEST_CASE("keys order as their values do and convert back") {
  Tally order, back;
  Random random(18);
  const auto flushed = [](std::uint32_t bits) {
    return exponentFieldOf(bits) == 0 ? 0.0 : static_cast<double>(floatOf(bits));
  };
  const auto check = [&](std::uint32_t a, std::uint32_t b) {
    if (nibIsNonFinite(a) || nibIsNonFinite(b)) return;
    const double x = flushed(a), y = flushed(b);
    const std::uint32_t ka = nibKey(a), kb = nibKey(b);
    order.expect((x < y) == (ka < kb) && (x == y) == (ka == kb), a, b, ka);
    back.expectEqual(nibUnkey(ka), bitsOf(static_cast<float>(x)), a);
  };
  for (int i = 0; i < 2'000'000; ++i) {
    const std::uint32_t a = random.next();
    check(a, random.next());
    check(a, a + random.below(5) - 2);
  }
  for (const std::uint32_t a : kEdges) {
    for (const std::uint32_t b : kEdges) {
      check(a, b);
      check(a | kSignBit, b);
      check(a, b | kSignBit);
      check(a | kSignBit, b | kSignBit);
    }
  }
  for (int i = 0; i < 500'000; ++i) {
    const std::uint32_t key = random.next(), bits = nibUnkey(key);
    if (exponentFieldOf(bits) != 0) back.expectEqual(nibKey(bits), key, key);
  }
  checkNoneWrong(order);
  checkNoneWrong(back);
  CHECK(nibKey(0x00000000u) == 0x80000000u);
  CHECK(nibKey(0x80000000u) == 0x80000000u);
  CHECK(nibKey(0x807fffffu) == 0x80000000u);
  CHECK(nibKey(0xff800000u) < nibKey(0xff7fffffu));
  CHECK(nibKey(0x7f7fffffu) < nibKey(0x7f800000u));
  CHECK(nibKey(0xffffffffu) == 0u);
  CHECK(nibKey(0x7fffffffu) == 0xffffffffu);
}

namespace {

// One hash per row of exact_probe.h over the mixture, through pointers that the compiler cannot inline.
std::vector<std::uint64_t> hashAllRows(std::size_t count) {
  std::vector<std::uint64_t> hashes;
  for (const nib::exact_probe::Row& row : nib::exact_probe::kRows) {
    auto* const volatile apply = row.apply;
    Random random(19);
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (std::size_t i = 0; i < count; ++i) {
      const auto [a, b] = nib::exact_inputs::mixedPair(i, random);
      if (row.inputs == EXACT_PROBE_ORDINARY && (!isOrdinary(a) || !isOrdinary(b))) continue;
      hash = (hash ^ apply(a, b)) * 0x100000001b3u;
    }
    hashes.push_back(hash);
  }
  return hashes;
}

}  // namespace

TEST_CASE("no rounding mode changes a result") {
  const std::vector<std::uint64_t> wanted = hashAllRows(120'000);
  const int saved = std::fegetround();
  for (const int mode : {FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD}) {
    REQUIRE(std::fesetround(mode) == 0);
    const std::vector<std::uint64_t> found = hashAllRows(120'000);
    std::fesetround(saved);
    CHECK(found == wanted);
  }
}

#if NIB_TEST_HAS_MXCSR
TEST_CASE("a caller that flushes denormals gets the same bits") {
  const std::vector<std::uint64_t> wanted = hashAllRows(150'000);
  const unsigned saved = _mm_getcsr();
  for (const unsigned flags : {0x8000u, 0x0040u, 0x8040u}) {  // FTZ, DAZ, both
    _mm_setcsr(saved | flags);
    volatile float smallest = std::numeric_limits<float>::min();
    volatile float denormal = floatOf(1u);
    const bool results_flushed = smallest * 0.5f == 0.0f;
    const bool operands_flushed = denormal * 16777216.0f == 0.0f;
    const std::vector<std::uint64_t> found = hashAllRows(150'000);
    _mm_setcsr(saved);
    CHECK(results_flushed);  // the flags are on: DAZ alone keeps the denormal product, then compares it as zero
    CHECK(operands_flushed == ((flags & 0x0040u) != 0));
    CHECK(found == wanted);
  }
}
#endif
