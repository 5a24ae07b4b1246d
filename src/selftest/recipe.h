// Test inputs with edge cases, generated from a seed: the same values on every machine.
#ifndef NIB_SELFTEST_RECIPE_H
#define NIB_SELFTEST_RECIPE_H

#include <nibble/nibble.h>

#include <cstdint>
#include <vector>

namespace nib::selftest {

enum class Recipe {
  kUniform,    // [-1, 1)
  kNormal,     // roughly normal, deviation 0.02, as weights are
  kTies,       // odd multiples of half a step, for scales that are powers of two, and neighbours one ulp away
  kThreshold,  // NF4 thresholds and neighbours one ulp away, under an absmax of 1
  kZeros,      // +0 and -0
  kDenormal,   // fp32 denormals and values around the zero-group rule
  kOutlier,    // one huge value among small ones
  kRange,      // magnitudes from 1e-38 to 3e38
  kOneSign,    // stretches that are all positive or all negative
  kNonFinite,  // normal values with some NaN and infinities among them
  kBits,       // any bit pattern
  kMixed,      // stretches of 64 elements of all of the above
  kExact,      // weights and activations whose sums of products are exact in fp32, see src/plan/probe_exact.h
  kNarrow,     // numbers of the 16-bit types, midpoints between them, neighbours one ulp away; often their extremes
  kRelu,       // normal, with negative values set to zero
  kAlike       // all codes are near the lowest: products have one sign, and the last bits of sums matter
};

const char* recipeName(Recipe recipe);

// count fp32 bit patterns.
std::vector<uint32_t> makeValues(Recipe recipe, uint64_t count, uint64_t seed);

// The same converted to a dense type, as whole words (the last one padded with 0).
std::vector<uint32_t> makeDense(Recipe recipe, NibType type, uint64_t count, uint64_t seed);

// A dense matrix that a case reads.
struct Dense {
  NibType type;
  uint32_t stride;  // elements from row to row
};

// A lossy copy of `reference`, element by element of rows x cols: equal, slightly or very different, negated, or
// arbitrary, with stretches without loss. The layout is that of makeDense; gaps between rows are marks.
std::vector<uint32_t> makeCandidate(const std::vector<uint32_t>& reference, const Dense& of, const Dense& to,
                                    uint32_t rows, uint32_t cols, uint64_t seed);

// splitmix64 (Steele, Lea, Flood 2014): seeds and numbers.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  uint32_t bits() { return uint32_t(next() >> 32); }
  uint32_t below(uint32_t n) { return uint32_t((next() >> 32) * n >> 32); }
  double unit() { return double(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

}  // namespace nib::selftest
#endif
