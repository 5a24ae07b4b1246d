// Moments against sums in long double, within the bound that the header states.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Real = long double;
const Real kBound = std::ldexp(Real(1), -40);
double worst = 0;

NibMomentsDesc momentsDesc(uint32_t rows, uint32_t cols, NibGranularity granularity) {
  NibMomentsDesc d = selftest::describe<NibMomentsDesc>(NIB_OP_MOMENTS);
  d.rows = rows;
  d.cols = cols;
  d.granularity = granularity;
  return d;
}

struct Exact {
  uint32_t finite = 0, nonfinite = 0;
  double absmax = 0;
  Real sum = 0, magnitudes = 0, squares = 0;
  void add(double v) {
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
  const double over =
      scale == 0 ? (got == 0 ? 0.0 : HUGE_VAL) : double(std::fabs(Real(got) - exact) / (scale * kBound));
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

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (const NibGranularity granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_COLUMN}) {
      const bool tensor = granularity == NIB_GRANULARITY_TENSOR;
      if (!tensor && shape.cols > (1u << 22)) continue;
      const NibMemory memory = memoryOf(momentsDesc(shape.rows, shape.cols, granularity));
      const uint64_t tiles =
          tensor ? (uint64_t(shape.rows) * shape.cols + 1023) / 1024 : (uint64_t(shape.rows) + 255) / 256 * shape.cols;
      CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 32 * tiles);
      CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == denseBytes(shape.rows, shape.cols, shape.cols, NIB_TYPE_F32));
      CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
    }
  }
}

void checkRefusals() {
  using Desc = NibMomentsDesc;
  Desc right = momentsDesc(4, 64, NIB_GRANULARITY_COLUMN);
  right.source_stride = 66;
  expectEachRefused<Desc>(right, "moments",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_ROW; }},
                          });
}

}  // namespace

NIB_DEFINE_OP_TEST(moments, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("moments of every case of the shared list are exact or within their bound") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_MOMENTS, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 70);
  for (const selftest::Case& c : list) {
    const NibMomentsDesc& d = c.as<NibMomentsDesc>();
    Ranges ranges(c.desc());
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
    uint64_t written = 0;
    for (uint64_t row = 0; row < c.n; ++row) {
      for (uint64_t col = 0; col < d.cols; ++col) {
        const uint64_t tile = columns ? row / NIB_MOMENT_ROWS * d.cols + col : (row * d.cols + col) / NIB_MOMENT_TILE;
        exact[size_t(tile)].add(model::load(input.data(), d.source_type, row * stride + col));
        written = std::max(written, tile + 1);
      }
    }
    for (uint64_t t = 0; t < tiles; ++t) {
      CAPTURE(t);
      const NibMomentTile tile = ranges.read<NibMomentTile>(NIB_ROLE_OUTPUT, t * sizeof(NibMomentTile), 1)[0];
      if (t < written) {
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
  const NibMomentsDesc d = momentsDesc(kRows, kCols, NIB_GRANULARITY_COLUMN);
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
