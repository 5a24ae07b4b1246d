// Peers divide: q = clamp(roundEven(x / s) + z). nibble multiplies x by r = 1/s, which may change a code by one where
// x/s is next to a tie. How near follows from the roundings: r = (1/s)(1 + a) and y = x r (1 + b) with |a|, |b| <=
// 2^-24, and the peer's own t = (x/s)(1 + c) with |c| <= 2^-24. So y and t stay within (2^-23 + 2^-46) |x/s| of x/s,
// and codes can differ only where a tie is that near: within 2^-22.99 of x/s itself. In steps that is less than 2^-19
// for four bits and less than 2^-15 for eight.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model_ops.h"
#include "prepare.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr double kNearness = 0x1p-23 + 0x1p-46;

struct Comparison {
  uint64_t codes = 0, differing = 0;
  uint64_t by_more = 0;       // differences of more than one
  uint64_t far = 0;           // differences away from a tie
  double farthest = 0;        // distance of a tie at a difference, in x/s
  double farthest_steps = 0;  // and in steps
};

// Compares the library's codes with the peer's formula in fp32, with the scales and zero points of the library.
void compareWithPeer(const NibQuantizeDesc& d, Ranges& ranges, Comparison& comparison) {
  const model::Layout l = model::layoutOf(d.rows, d.cols, d.weights);
  const bool narrow = (d.weights.flags & NIB_WEIGHTS_NARROW) != 0;
  const uint8_t* blob = ranges.bytes(NIB_ROLE_WEIGHTS);
  for (uint64_t row = 0; row < l.rows; ++row) {
    for (uint64_t col = 0; col < l.cols; ++col) {
      const model::Scale scale = model::scaleAt(l, d.weights, blob, l.scaleIndex(row, col));
      const double x = model::load(ranges.bytes(NIB_ROLE_INPUT), d.source_type, row * d.cols + col);
      if (scale.value == 0 || !std::isfinite(x)) continue;
      const float t = float(x) / float(scale.value);
      const double unclamped = model::halfEven(t) + scale.zero;
      const int peer = int(std::min(std::max(unclamped, narrow ? 1.0 : 0.0), l.format->levels()));
      const uint64_t bit = col * l.format->bits;
      const uint8_t* at = &blob[row * l.row_bytes + bit / 8];
      const uint32_t two =
          at[0] | (bit % 8 + l.format->bits > 8 ? uint32_t(at[1]) << 8 : 0u);  // a code may span two bytes
      const uint32_t stored = two >> (bit % 8) & ((1u << l.format->bits) - 1u);
      const int ours = int(l.format->stored(stored));
      ++comparison.codes;
      if (ours == peer) continue;
      ++comparison.differing;
      if (std::abs(ours - peer) != 1) ++comparison.by_more;
      // The quotient in double has a relative error of 2^-53, far below the bound.
      const double exact = x / scale.value;
      const double tie = std::floor(exact) + 0.5, distance = std::fabs(exact - tie);
      if (distance > kNearness * std::fabs(exact)) ++comparison.far;
      comparison.farthest = std::max(comparison.farthest, distance / std::fabs(exact));
      comparison.farthest_steps = std::max(comparison.farthest_steps, distance);
    }
  }
}

void expectNearTiesOnly(const Comparison& c) {
  INFO(c.codes, " codes, ", c.differing, " differ, farthest ", c.farthest, " of x/s, ", c.farthest_steps, " steps");
  CHECK(c.by_more == 0);
  CHECK(c.far == 0);
}

// Elements near ties of the group's scale: odd multiples of half a step, or a few ulps beside.
void fillNearTies(const NibQuantizeDesc& d, Ranges& ranges, double levels, uint64_t seed) {
  selftest::Random random(seed);
  std::vector<float> x(size_t(d.rows) * d.cols);
  const bool asymmetric = (d.weights.flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
  const double steps = asymmetric ? levels / 2 : (levels - 1) / 2 + (d.weights.flags & NIB_WEIGHTS_NARROW ? 0.0 : 0.5);
  for (uint32_t row = 0; row < d.rows; ++row) {
    const double end = std::ldexp(1.0 + random.unit(), int(random.below(40)) - 20);
    for (uint32_t col = 0; col < d.cols; ++col) {
      const double half_steps =
          double(random.below(uint32_t(levels) + 1)) - levels / 2 + (random.below(8) == 0 ? 0.25 : 0.0);
      float value = float(end / steps * (std::floor(half_steps) + 0.5));
      const float toward = random.below(2) == 0 ? -INFINITY : INFINITY;
      for (uint32_t ulps = random.below(5); ulps > 0; --ulps) value = std::nextafter(value, toward);
      x[size_t(row) * d.cols + col] = std::fabs(value) < end ? value : float(end);
    }
    x[size_t(row) * d.cols] = float(-end);
    x[size_t(row) * d.cols + 1] = float(end);
  }
  ranges.write(NIB_ROLE_INPUT, x);
}

}  // namespace

TEST_CASE("codes differ from a peer that divides only where a tie is within 2^-22.99 of x/s, and by one") {
  for (const model::Format& format : model::scaledFormats()) {
    const NibFormatInfo* info = nibFormatById(format.id);
    if (!format.affine()) continue;
    for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC), uint32_t(NIB_WEIGHTS_NARROW)}) {
      Comparison comparison;
      for (uint32_t type = 0; type < 3; ++type) {
        const NibQuantizeDesc d =
            quantizeDesc(4096, 64, weights(format.id, NIB_GRANULARITY_ROW, 0, mode, NibType(type)));
        Ranges ranges(asOp(d));
        ranges.clearStatus();
        fillNearTies(d, ranges, format.levels(), 31 + type);
        REQUIRE(ranges.run(d.rows) == NIB_SUCCESS);
        compareWithPeer(d, ranges, comparison);
      }
      INFO(info->name, " flags ", mode);
      expectNearTiesOnly(comparison);
      // The inputs must include ties on which the two formulas differ.
      CHECK(comparison.differing > 0);
      CHECK(comparison.differing < comparison.codes / 20);
      CHECK(comparison.farthest_steps < std::ldexp(1.0, int(format.bits) - 23));
    }
  }
}

TEST_CASE("in ordinary data only a group's largest elements may differ from a peer that divides") {
  for (const model::Format& format : model::scaledFormats()) {
    if (!format.affine()) continue;
    for (const selftest::Recipe recipe :
         {selftest::Recipe::kNormal, selftest::Recipe::kUniform, selftest::Recipe::kRange, selftest::Recipe::kOutlier,
          selftest::Recipe::kOneSign}) {
      for (const uint32_t mode : {0u, uint32_t(NIB_WEIGHTS_ASYMMETRIC)}) {
        selftest::Case c;
        c.recipe = recipe;
        c.seed = 4 + uint64_t(recipe);
        c.n = 1024;
        c.set(quantizeDesc(1024, 96, weights(format.id, NIB_GRANULARITY_GROUP, 32, mode)));
        Ranges ranges(c.desc());
        prepare(c, ranges);
        REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
        Comparison comparison;
        compareWithPeer(c.as<NibQuantizeDesc>(), ranges, comparison);
        INFO(selftest::recipeName(recipe), " flags ", mode);
        expectNearTiesOnly(comparison);
        // A random element is that near to a tie once in millions; the largest of a symmetric group always is.
        CHECK(comparison.differing <= comparison.codes / 32 + 2);
      }
    }
  }
}

TEST_CASE("with powers of two as scales codes equal those of a peer that divides") {
  for (const model::Format& format : model::scaledFormats()) {
    if (!format.affine()) continue;
    const NibQuantizeDesc d =
        quantizeDesc(256, 64, weights(format.id, NIB_GRANULARITY_ROW, 0), NIB_TYPE_F32, NIB_QUANTIZE_GIVEN_SCALES);
    Ranges ranges(asOp(d));
    ranges.clearStatus();
    selftest::Case c;
    c.recipe = selftest::Recipe::kTies;
    c.set(d);
    prepare(c, ranges);
    for (uint32_t row = 0; row < d.rows; ++row) {
      const float scale = std::ldexp(1.0f, int(row % 40) - 30);
      std::memcpy(ranges.scales() + 4 * row, &scale, sizeof scale);
    }
    REQUIRE(ranges.run(d.rows) == NIB_SUCCESS);
    Comparison comparison;
    compareWithPeer(d, ranges, comparison);
    CHECK(comparison.codes == 256 * 64);
    CHECK(comparison.differing == 0);
  }
}
