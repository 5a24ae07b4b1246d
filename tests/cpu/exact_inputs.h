// Inputs that reveal inexact arithmetic, for the tests of exact.h and exact.glsl.
#ifndef NIB_TESTS_EXACT_INPUTS_H
#define NIB_TESTS_EXACT_INPUTS_H

#include <cstddef>
#include <cstdint>
#include <utility>

namespace nib::exact_inputs {

// splitmix64: the same sequence on every platform, with any seed.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next64() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint32_t next() { return static_cast<std::uint32_t>(next64() >> 32); }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>((std::uint64_t{next()} * n) >> 32); }

 private:
  std::uint64_t state_;
};

// Zeros, denormals, the edges of every type here, powers of two, Inf, NaN.
inline constexpr std::uint32_t kEdges[] = {
    0x00000000u, 0x00000001u, 0x00400000u, 0x007fffffu, 0x00800000u, 0x00800001u, 0x00ffffffu, 0x01000000u, 0x01000001u,
    0x03800000u, 0x32800000u, 0x33000000u, 0x33000001u, 0x33800000u, 0x36800000u, 0x37000000u, 0x37800000u, 0x38000000u,
    0x387fe000u, 0x387ff000u, 0x387fffffu, 0x38800000u, 0x3a800000u, 0x3b000000u, 0x3b800000u, 0x3c700000u, 0x3c800000u,
    0x3eaaaaabu, 0x3effffffu, 0x3f000000u, 0x3f000001u, 0x3f7fffffu, 0x3f800000u, 0x3f800001u, 0x3fb504f3u, 0x3fffffffu,
    0x40000000u, 0x40400000u, 0x40490fdbu, 0x43e00000u, 0x43e7ffffu, 0x43e80000u, 0x43e80001u, 0x477fe000u, 0x477fefffu,
    0x477ff000u, 0x47600000u, 0x476fffffu, 0x47700000u, 0x4b000000u, 0x4b7fffffu, 0x4b800000u, 0x4b800001u, 0x4f000000u,
    0x7e7fffffu, 0x7e800000u, 0x7effffffu, 0x7f000000u, 0x7f7f7fffu, 0x7f7f8000u, 0x7f7fffffu, 0x7f800000u, 0x7f800001u,
    0x7fbfffffu, 0x7fc00000u, 0x7fffffffu};
inline constexpr std::size_t kEdgeCount = sizeof(kEdges) / sizeof(kEdges[0]);

inline std::uint32_t anyEdge(Random& random) {
  return kEdges[random.below(kEdgeCount)] | (random.next() & 0x80000000u);
}

// A normal number with a random sign and mantissa and an exponent field in [low, high].
inline std::uint32_t anyNormal(Random& random, std::uint32_t low, std::uint32_t high) {
  return (random.next() & 0x807fffffu) | (low + random.below(high - low + 1)) << 23;
}

// A value at a rounding boundary or a code of a type with `kept` mantissa bits, or one ulp of fp32 beside it.
inline std::uint32_t nearBoundary(Random& random, int kept, std::uint32_t low, std::uint32_t high) {
  const std::uint32_t step = 1u << (22 - kept);
  return (anyNormal(random, low, high) & ~(step - 1u)) + random.below(3) - 1u;
}

// Mantissas whose quotient, ma/mb times a power of two, differs from a midpoint of two 24-bit numbers by t/mb of half
// an ulp, for a small odd t: for t = 1 or -1 no closer quotient exists. {0, 0} when there is none for this divisor.
inline std::pair<std::uint32_t, std::uint32_t> mantissasNearMidpoint(std::uint32_t odd_divisor, std::int32_t t) {
  const std::uint64_t mb = odd_divisor;
  std::uint64_t inverse = mb;  // of mb modulo 2^64; each round doubles the 3 good bits it starts with
  for (int i = 0; i < 5; ++i) inverse *= 2 - mb * inverse;
  const std::uint64_t wanted = static_cast<std::uint64_t>(std::int64_t{t}) * inverse;
  for (int k = 24; k <= 25; ++k) {
    // midpoint * mb = t modulo 2^k, so that ma = (midpoint * mb - t) / 2^k is an integer.
    const std::uint64_t mask = (std::uint64_t{1} << k) - 1;
    const std::uint64_t midpoint = k == 24 ? (wanted & mask) | 0x1000000u : wanted & mask;
    if (midpoint < 0x1000000u) continue;
    const std::uint64_t ma = (midpoint * mb - static_cast<std::uint64_t>(std::int64_t{t})) >> k;
    if (ma >= 0x800000u && ma < 0x1000000u) return {static_cast<std::uint32_t>(ma), odd_divisor};
  }
  return {0, 0};
}

// A pair of fp32 patterns with such a quotient; the exponents keep it a normal number.
inline std::pair<std::uint32_t, std::uint32_t> pairNearMidpoint(Random& random) {
  for (;;) {
    const std::uint32_t mb = 0x800001u | (random.next() & 0x7ffffeu);
    const std::int32_t t = static_cast<std::int32_t>(2 * random.below(4) + 1) * ((random.next() & 1u) != 0 ? 1 : -1);
    const auto [ma, divisor] = mantissasNearMidpoint(mb, t);
    if (ma == 0) continue;
    const std::uint32_t ea = 72 + random.below(112), eb = 72 + random.below(112);
    return {(random.next() & 0x80000000u) | ea << 23 | (ma & 0x7fffffu),
            (random.next() & 0x80000000u) | eb << 23 | (divisor & 0x7fffffu)};
  }
}

// The i-th pair of a mixture for every function: the first 65536 have a = i (all half, bfloat16 and fp8 codes), then
// come all pairs of edges, then random pairs of several kinds.
inline std::pair<std::uint32_t, std::uint32_t> mixedPair(std::size_t i, Random& random) {
  if (i < 65536) return {static_cast<std::uint32_t>(i), random.next()};
  i -= 65536;
  if (i < 4 * kEdgeCount * kEdgeCount) {
    const std::uint32_t signs = static_cast<std::uint32_t>(i & 3u);
    i >>= 2;
    return {kEdges[i / kEdgeCount] | (signs & 1u) << 31, kEdges[i % kEdgeCount] | (signs & 2u) << 30};
  }
  switch (random.below(10)) {
    case 0: return {anyEdge(random), random.next()};
    case 1: return {random.next(), anyEdge(random)};
    case 2: return {nearBoundary(random, 10, 96, 144), anyNormal(random, 96, 144)};
    case 3: return {nearBoundary(random, 7, 1, 254), anyNormal(random, 1, 254)};
    case 4: return {nearBoundary(random, 3, 112, 138), nearBoundary(random, 3, 112, 138)};
    case 5: return {nearBoundary(random, 2, 106, 146), anyNormal(random, 106, 146)};
    case 6: return {anyNormal(random, 117, 137), anyNormal(random, 117, 137)};
    case 7:
    case 8: return pairNearMidpoint(random);
    default: return {random.next(), random.next()};
  }
}

}  // namespace nib::exact_inputs

#endif
