// Scales that are means of magnitudes are within nibble.h's bound of the true mean. The test computes it in fp64, whose
// own error is 2^-29 of the bound.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model.h"
#include "run_op.h"
#include "selftest/recipe.h"

using namespace nib;
using namespace nib::tests;

namespace {

// The largest error of the row scales of a ternary matrix, divided by the bound.
double worstOf(uint32_t rows, uint32_t cols, const std::vector<uint32_t>& patterns) {
  const NibQuantizeDesc d = quantizeDesc(rows, cols, weights(NIB_FORMAT_TERNARY, NIB_GRANULARITY_ROW, 0));
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, patterns);
  REQUIRE(ranges.run(rows) == NIB_SUCCESS);
  double worst = 0;
  for (uint32_t row = 0; row < rows; ++row) {
    double sum = 0, rest = 0, largest = 0;  // Kahan summation: practically exact
    for (uint32_t col = 0; col < cols; ++col) {
      const double v = std::fabs(model::valueOf(NIB_TYPE_F32, patterns[size_t(row) * cols + col]));
      largest = std::max(largest, v);
      const double more = v - rest, next = sum + more;
      rest = (next - sum) - more;
      sum = next;
    }
    const double mean = sum / cols;
    if (!(mean >= 0x1p-119 && mean <= 0x1p125)) continue;  // other rules apply there
    float found;
    std::memcpy(&found, ranges.scales() + row * 4, sizeof found);
    // The last factor covers products of two rounding errors.
    const double allowed = (0x1p-23 * std::exp2(std::ilogb(largest)) + 3 * 0x1p-24 * mean) * (1 + 0x1p-20);
    CHECK(allowed < 0x1p-21 * largest);
    worst = std::max(worst, std::fabs(double(found) - mean) / allowed);
  }
  return worst;
}

}  // namespace

TEST_CASE("means of magnitudes are within their bound") {
  if (nibFormatById(NIB_FORMAT_TERNARY) == nullptr) return;
  double worst = 0;
  uint64_t seed = 500;
  using selftest::Recipe;
  for (const Recipe recipe :
       {Recipe::kUniform, Recipe::kNormal, Recipe::kTies, Recipe::kOutlier, Recipe::kRange, Recipe::kOneSign}) {
    for (const uint32_t cols : {1u, 2u, 3u, 7u, 16u, 100u, 1000u, 70001u}) {
      const uint32_t rows = 280004u / cols < 2000u ? 280004u / cols : 2000u;
      worst = std::max(worst, worstOf(rows, cols, selftest::makeValues(recipe, uint64_t(rows) * cols, ++seed)));
    }
  }
  // Every element is half a unit above one: the largest rounding error of each term.
  std::vector<uint32_t> halves(4096, 0x3f800001u);
  worst = std::max(worst, worstOf(16, 256, halves));
  MESSAGE("largest error of a mean / bound: " << worst);
  CHECK(worst <= 1.0);
  CHECK(worst > 0.5);  // the bound is tight
}
