// Moments against sums in extended precision, within the bound that the header states.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "model_ops.h"
#include "prepare.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Real = long double;
const Real kBound = std::ldexp(Real(1), -40);
double worst = 0;

struct Exact {
  uint32_t finite = 0, nonfinite = 0;
  double absmax = 0;
  Real sum = 0, magnitudes = 0, squares = 0;
  void meet(double v) {
    if (!std::isfinite(v)) {
      ++nonfinite;
      return;
    }
    ++finite;
    absmax = std::max(absmax, std::fabs(v));
    sum += v;
    magnitudes += std::fabs(Real(v));
    squares += Real(v) * v;
  }
};

void checkWithin(double got, Real exact, Real scale) {
  const double over = scale == 0 ? (got == 0 ? 0.0 : HUGE_VAL) : double(std::fabs(Real(got) - exact) / (scale * kBound));
  worst = std::max(worst, over);
  CHECK(over <= 1);
}

void checkTile(const NibMomentTile& tile, const Exact& exact) {
  CHECK(tile.finite_count == exact.finite);
  CHECK(tile.nonfinite_count == exact.nonfinite);
  CHECK(tile.absmax == exact.absmax);
  CHECK(tile.reserved == 0);
  NibMoments moments{};
  nibMomentsAdd(&moments, &tile, 1, 1);
  CHECK(moments.absmax == exact.absmax);
  checkWithin(moments.sum, exact.sum, exact.magnitudes);
  checkWithin(moments.squares, exact.squares, exact.squares);
}

}  // namespace

TEST_CASE("moments of every case of the shared list are exact or within their bound") {
  const std::vector<cases::Case> list = cases::casesOf(NIB_OP_MOMENTS, 0, cases::Extent::kFull);
  CHECK(list.size() >= 70);
  for (const cases::Case& c : list) {
    const NibMomentsDesc& d = c.desc.moments;
    Ranges ranges(&c.desc.op);
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    const std::vector<uint8_t> input = ranges.copy(NIB_ROLE_INPUT);
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    INFO(c.name());
    CHECK(ranges.guardsHold());
    CHECK(ranges.copy(NIB_ROLE_INPUT) == input);
    const bool columns = d.granularity == NIB_GRANULARITY_COLUMN;
    const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
    const uint64_t tiles = ranges.size(NIB_ROLE_OUTPUT) / sizeof(NibMomentTile);
    std::vector<Exact> exact(size_t(tiles), Exact{});
    uint64_t met = 0;
    for (uint64_t row = 0; row < c.n; ++row) {
      for (uint64_t col = 0; col < d.cols; ++col) {
        const uint64_t tile = columns ? row / NIB_MOMENT_ROWS * d.cols + col : (row * d.cols + col) / NIB_MOMENT_TILE;
        exact[size_t(tile)].meet(model::load(input.data(), d.source_type, row * stride + col));
        met = std::max(met, tile + 1);
      }
    }
    for (uint64_t t = 0; t < tiles; ++t) {
      CAPTURE(t);
      const NibMomentTile tile = ranges.read<NibMomentTile>(NIB_ROLE_OUTPUT, t * sizeof(NibMomentTile), 1)[0];
      if (t < met) {
        checkTile(tile, exact[size_t(t)]);
      } else {
        CHECK(tile.finite_count == 0xa5a5a5a5u);  // beyond the rows of the run
      }
    }
  }
  MESSAGE("largest error / bound: " << worst);
}

TEST_CASE("tiles add up to the moments of a column") {
  constexpr uint32_t kRows = 600, kCols = 3;
  const NibMomentsDesc d{NIB_OP_MOMENTS, sizeof(NibMomentsDesc), 0, kRows, kCols, NIB_TYPE_F32, 0, NIB_GRANULARITY_COLUMN};
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  std::vector<float> source(kRows * kCols);
  for (uint32_t r = 0; r < kRows; ++r) source[r * kCols + 1] = float(r) - 100.0f;
  ranges.write(NIB_ROLE_INPUT, source);
  REQUIRE(ranges.run(kRows) == NIB_SUCCESS);
  const auto tiles = ranges.read<NibMomentTile>(NIB_ROLE_OUTPUT, 0, 3 * kCols);
  NibMoments moments{};
  nibMomentsAdd(&moments, tiles.data() + 1, 3, kCols);
  CHECK(moments.finite_count == 600);
  CHECK(moments.absmax == 499);
  CHECK(moments.sum == 600.0 * 599 / 2 - 100 * 600);
  CHECK(moments.squares == 599.0 * 600 * 1199 / 6 - 200 * (600.0 * 599 / 2) + 10000.0 * 600);
}
