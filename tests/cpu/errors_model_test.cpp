// Error statistics against sums of the definition in long double: exact values must be equal, sums within their bound.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

using Real = long double;  // 64 bits of mantissa on x86; 53 bits elsewhere are enough for the bound

// The bound that nibble.h states, relative to exact sums of the same elements.
constexpr double kBound = 0x1p-40;

struct Sums {
  uint64_t finite = 0, nonfinite = 0, index = UINT32_MAX;
  double max_error = 0, max_x = 0, max_y = 0;
  Real error_squares = 0, error_magnitudes = 0, x_squares = 0, y_squares = 0, products = 0, x_magnitudes = 0;

  void add(double x, double y, uint64_t element) {
    if (!std::isfinite(x) || !std::isfinite(y)) {
      ++nonfinite;
      return;
    }
    ++finite;
    // Rounds to 24 bits with an unbounded exponent. The difference of two fp32 may have more bits than a double: the
    // remainder decides a tie.
    const double high = x - y, part = high - x, rest = (x - (high - part)) + (-y - part);
    const Real d = std::fabs(Real(x) - Real(y));
    int exponent = 0;
    double fraction = std::ldexp(std::frexp(std::fabs(high), &exponent), 24);
    const double tail = high < 0 ? -rest : rest;
    if (tail != 0 && std::floor(fraction) + 0.5 == fraction) fraction += tail > 0 ? 0x1p-20 : -0x1p-20;
    const double error = std::ldexp(model::halfEven(fraction), exponent - 24);
    if (error > max_error) {
      max_error = error;
      index = element;
    }
    max_x = std::max(max_x, std::fabs(x));
    max_y = std::max(max_y, std::fabs(y));
    error_squares += d * d;
    error_magnitudes += d;
    x_squares += Real(x) * x;
    y_squares += Real(y) * y;
    products += Real(x) * y;
    x_magnitudes += std::fabs(Real(x));
  }
};

// The largest error of a sum so far, divided by its bound.
double worst = 0;

void checkSum(double got, Real exact, Real scale, const char* name) {
  if (scale == 0) {
    CHECK_MESSAGE(got == 0, name);
    return;
  }
  const double over = double(std::fabs(Real(got) - exact) / (scale * kBound));
  worst = std::max(worst, over);
  CHECK_MESSAGE(over <= 1, name << " is wrong by " << over << " times its bound");
}

void checkTile(const NibErrorTile& tile, const Sums& exact) {
  CHECK(tile.finite_count == exact.finite);
  CHECK(tile.nonfinite_count == exact.nonfinite);
  CHECK(tile.max_error_index == exact.index);
  CHECK(tile.max_reference == exact.max_x);
  CHECK(tile.max_candidate == exact.max_y);
  NibErrorSums sums{};
  nibErrorsAdd(&sums, &tile, 1, 0);
  CHECK(sums.max_error == exact.max_error);
  checkSum(sums.error_squares, exact.error_squares, exact.error_squares, "sum of (x - y)^2");
  checkSum(sums.error_magnitudes, exact.error_magnitudes, exact.error_magnitudes, "sum of |x - y|");
  checkSum(sums.reference_squares, exact.x_squares, exact.x_squares, "sum of x^2");
  checkSum(sums.candidate_squares, exact.y_squares, exact.y_squares, "sum of y^2");
  checkSum(sums.products, exact.products, std::sqrt(exact.x_squares) * std::sqrt(exact.y_squares), "sum of x y");
  checkSum(sums.reference_magnitudes, exact.x_magnitudes, exact.x_magnitudes, "sum of |x|");
}

NibErrorsDesc errorsDesc(uint32_t rows, uint32_t cols, uint32_t reference = NIB_TYPE_F32,
                         uint32_t candidate = NIB_TYPE_F32) {
  NibErrorsDesc d = selftest::describe<NibErrorsDesc>(NIB_OP_ERRORS);
  d.rows = rows;
  d.cols = cols;
  d.reference_type = reference;
  d.candidate_type = candidate;
  return d;
}

// The tiles of two rows of fp32 numbers.
std::vector<NibErrorTile> tilesOf(const std::vector<uint32_t>& x, const std::vector<uint32_t>& y) {
  const NibErrorsDesc d = errorsDesc(1, uint32_t(x.size()));
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_REFERENCE), x.data(), x.size() * 4);
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_CANDIDATE), y.data(), y.size() * 4);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  return ranges.read<NibErrorTile>(NIB_ROLE_OUTPUT, 0, (x.size() + NIB_ERROR_TILE - 1) / NIB_ERROR_TILE);
}

NibErrors errorsOf(const std::vector<float>& x, const std::vector<float>& y) {
  std::vector<uint32_t> x_bits(x.size()), y_bits(y.size());
  std::memcpy(x_bits.data(), x.data(), x.size() * 4);
  std::memcpy(y_bits.data(), y.data(), y.size() * 4);
  const std::vector<NibErrorTile> tiles = tilesOf(x_bits, y_bits);
  NibErrorSums sums{};
  nibErrorsAdd(&sums, tiles.data(), tiles.size(), 0);
  NibErrors errors{sizeof(NibErrors)};
  nibErrorsFinish(&sums, &errors);
  return errors;
}

void checkTiles(const std::vector<uint32_t>& x, const std::vector<uint32_t>& y) {
  const std::vector<NibErrorTile> tiles = tilesOf(x, y);
  for (size_t t = 0; t < tiles.size(); ++t) {
    Sums exact;
    for (size_t i = t * NIB_ERROR_TILE; i < std::min(x.size(), (t + 1) * NIB_ERROR_TILE); ++i) {
      exact.add(model::valueOf(NIB_TYPE_F32, x[i]), model::valueOf(NIB_TYPE_F32, y[i]), i);
    }
    CAPTURE(t);
    checkTile(tiles[t], exact);
  }
}

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

void checkMemory() {
  for (const Extents& shape : kExtents) {
    for (uint32_t pair = 0; pair < 9; ++pair) {
      for (const uint32_t extra : {0u, 4u}) {
        if ((uint64_t(shape.cols) + extra + 1) * shape.rows > kMostElements) continue;
        const uint32_t stride = extra != 0 ? shape.cols + extra : 0, even = stride + stride % 2;
        NibErrorsDesc d = errorsDesc(shape.rows, shape.cols, pair / 3, pair % 3);
        d.reference_stride = stride;
        d.candidate_stride = even;
        const NibMemory memory = memoryOf(d);
        const uint64_t reference = denseBytes(shape.rows, shape.cols, uint64_t(shape.cols) + extra, pair / 3);
        const uint64_t candidate = denseBytes(shape.rows, shape.cols, extra != 0 ? even : shape.cols, pair % 3);
        CHECK(memory.part[NIB_PART_REFERENCE].offset_bytes == 0);
        CHECK(memory.part[NIB_PART_REFERENCE].size_bytes == reference);
        CHECK(checkNext(memory, NIB_PART_CANDIDATE, reference, candidate) == memory.range[NIB_ROLE_INPUT].size_bytes);
        const uint64_t elements = uint64_t(shape.rows) * shape.cols;
        CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == 72 * (elements / 1024 + (elements % 1024 != 0)));
        CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 0);
        CHECK(memory.range[NIB_ROLE_AUX].size_bytes == 0);
      }
    }
  }
}

void checkRefusals() {
  using Desc = NibErrorsDesc;
  Desc right = errorsDesc(4, 64, NIB_TYPE_F32, NIB_TYPE_F16);
  right.reference_stride = 66;
  right.candidate_stride = 65;
  expectEachRefused<Desc>(right, "errors",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                              {"reference_type", kInvalid, [](Desc& d) { d.reference_type = NIB_TYPE_E8M0; }},
                              {"reference_stride", kInvalid, [](Desc& d) { d.reference_stride = 63; }},
                              {"reference_stride", kInvalid, [](Desc& d) { d.reference_stride = 0x40000000u; }},
                              {"candidate_type", kInvalid, [](Desc& d) { d.candidate_type = NIB_TYPE_E8M0; }},
                              {"candidate_stride", kInvalid, [](Desc& d) { d.candidate_stride = 63; }},
                              {"candidate_stride", kInvalid, [](Desc& d) { d.candidate_stride = 0x40000000u; }},
                          });
}

}  // namespace

NIB_DEFINE_OP_TEST(errors, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("error statistics of every case of the shared list are exact or within their bound") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_ERRORS, 0, selftest::Extent::kFull);
  CHECK(list.size() >= 100);
  for (const selftest::Case& c : list) {
    const NibErrorsDesc& d = c.as<NibErrorsDesc>();
    Ranges ranges(c.desc());
    REQUIRE(ranges.valid());
    prepare(c, ranges);
    const std::vector<uint8_t> input = ranges.copy(NIB_ROLE_INPUT);
    REQUIRE(ranges.run(c.n) == NIB_SUCCESS);
    INFO(c.name());
    CHECK(ranges.guardsHold());
    CHECK(ranges.copy(NIB_ROLE_INPUT) == input);
    const uint8_t* candidate = input.data() + ranges.memory.part[NIB_PART_CANDIDATE].offset_bytes;
    const uint64_t x_stride = d.reference_stride != 0 ? d.reference_stride : d.cols;
    const uint64_t y_stride = d.candidate_stride != 0 ? d.candidate_stride : d.cols;
    const uint64_t elements = uint64_t(c.n) * d.cols;
    const uint64_t tiles = ranges.size(NIB_ROLE_OUTPUT) / sizeof(NibErrorTile);
    for (uint64_t t = 0; t < tiles; ++t) {
      CAPTURE(t);
      const NibErrorTile tile = ranges.read<NibErrorTile>(NIB_ROLE_OUTPUT, t * sizeof(NibErrorTile), 1)[0];
      if (t * NIB_ERROR_TILE >= elements) {
        CHECK(tile.finite_count == 0xa5a5a5a5u);  // beyond the rows of the run
        continue;
      }
      Sums exact;
      for (uint64_t i = t * NIB_ERROR_TILE; i < std::min<uint64_t>(elements, (t + 1) * NIB_ERROR_TILE); ++i) {
        const uint64_t row = i / d.cols, col = i % d.cols;
        exact.add(model::load(input.data(), d.reference_type, row * x_stride + col),
                  model::load(candidate, d.candidate_type, row * y_stride + col), i);
      }
      checkTile(tile, exact);
    }
  }
  MESSAGE("largest error of a sum: " << worst << " of its bound, 2^-40");
}

TEST_CASE("sums keep their bound for values of any size, sign and spread") {
  selftest::Random random(31);
  for (const int exponent : {-149, -126, -120, -100, -64, -30, -1, 0, 30, 64, 100, 126, 127}) {
    for (const int spread : {0, 3, 24, 60, 140}) {
      for (const int loss : {2, 12, 23, 24}) {
        std::vector<uint32_t> x(3000), y(3000);
        for (size_t i = 0; i < x.size(); ++i) {
          const double size = std::ldexp(1 + random.unit(), exponent - int(random.below(uint32_t(spread) + 1)));
          const double value = std::copysign(std::min(size, 0x1.fffffep127), random.unit() - 0.3);
          x[i] = model::bitsOfFloat(float(value));
          const double other =
              std::min(std::fabs(value * (1 + std::ldexp(random.unit() - 0.5, -loss))), 0x1.fffffep127);
          y[i] = model::bitsOfFloat(float(std::copysign(other, random.below(9) == 0 ? -value : value)));
        }
        INFO("exponent ", exponent, " spread ", spread, " loss ", loss);
        checkTiles(x, y);
      }
    }
  }
  MESSAGE("largest error of a sum: " << worst << " of its bound, 2^-40");
}

TEST_CASE("the remainder of a rounded difference is included in the sum of squares") {
  // 1 - 2^-30 rounds to 1: the squares' sum of 1024 of them is 1024 (1 - 2^-29 + 2^-60).
  const std::vector<float> x(1024, 1.0f), y(1024, 0x1p-30f);
  const NibErrors errors = errorsOf(x, y);
  CHECK(errors.max_error == 1.0);
  CHECK(errors.mae == 1.0 - 0x1p-30);
  CHECK(std::fabs(errors.mse - (1.0 - 0x1p-29 + 0x1p-60)) <= kBound);
  CHECK(errors.mse != 1.0);
}

TEST_CASE("squares that overflow or underflow fp32 are summed without range error") {
  for (const double size : {1e30, 3e38, 1e-30, 1e-37}) {
    const float v = float(size);
    const NibErrors errors = errorsOf(std::vector<float>(2000, v), std::vector<float>(2000, -v));
    CHECK(errors.max_error == 2.0 * double(v));
    CHECK(errors.max_error_index == 0);
    CHECK(errors.mse == doctest::Approx(4.0 * double(v) * double(v)).epsilon(1e-11));
    CHECK(errors.mae == doctest::Approx(2.0 * double(v)).epsilon(1e-11));
    CHECK(errors.relative_error == doctest::Approx(2.0).epsilon(1e-11));
    CHECK(errors.sqnr_db == doctest::Approx(-20.0 * std::log10(2.0)).epsilon(1e-9));
    CHECK(errors.cosine == doctest::Approx(-1.0).epsilon(1e-11));
  }
}

// Derived by hand: the errors of 3, 1, -2, 4 are 0, 1, -2, 0.
TEST_CASE("MSE, SQNR, cosine and the other statistics of four elements") {
  const NibErrors errors = errorsOf({3, 1, -2, 4}, {3, 0, 0, 4});
  CHECK(errors.elements == 4);
  CHECK(errors.max_error == 2);
  CHECK(errors.max_error_index == 2);
  CHECK(errors.max_reference == 4);
  CHECK(errors.mse == 1.25);
  CHECK(errors.mae == 0.75);
  CHECK(errors.relative_error == 0.3);
  CHECK(errors.sqnr_db == doctest::Approx(10 * std::log10(30.0 / 5.0)));
  CHECK(errors.cosine == doctest::Approx(25.0 / std::sqrt(30.0 * 25.0)));
}

TEST_CASE("pairs with a non-finite element are counted and left out") {
  const NibErrors errors = errorsOf({1, kNan, 2, kInf, 5, 6}, {1, 1, -kInf, kInf, 5, 7});
  CHECK(errors.elements == 3);
  CHECK(errors.nonfinite_count == 3);
  CHECK(errors.max_error == 1);
  CHECK(errors.max_error_index == 5);
  CHECK(errors.max_reference == 6);
  CHECK(errors.mse == doctest::Approx(1.0 / 3));
}

TEST_CASE("the first index of the largest error is reported, across leaves and tiles") {
  for (const size_t first : {0u, 3u, 7u, 8u, 500u, 1023u, 1024u, 2999u}) {
    std::vector<float> x(3000, 1.0f), y(3000, 0.5f);
    for (size_t i = first; i < x.size(); i += 7) y[i] = -3.0f;
    const NibErrors errors = errorsOf(x, y);
    CHECK(errors.max_error == 4);
    CHECK(errors.max_error_index == first);
  }
}

TEST_CASE("equal tensors, a zero reference and empty tensors") {
  const NibErrors same = errorsOf({1, -2}, {1, -2});
  CHECK(same.max_error == 0);
  CHECK(same.max_error_index == 0);
  CHECK(same.relative_error == 0);
  CHECK(same.sqnr_db == HUGE_VAL);
  CHECK(same.cosine == 1);
  const NibErrors zero = errorsOf({0, -0.0f}, {1, 1});
  CHECK(zero.relative_error == HUGE_VAL);
  CHECK(zero.sqnr_db == -HUGE_VAL);
  CHECK(zero.cosine == 0);
  const NibErrors nothing = errorsOf({kNan}, {1});
  CHECK(nothing.elements == 0);
  CHECK(nothing.mse == 0);
  CHECK(nothing.cosine == 1);
}

TEST_CASE("a tensor split at tiles has the same totals as the whole") {
  selftest::Random random(5);
  std::vector<uint32_t> x(5000), y(5000);
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = model::bitsOfFloat(float(random.unit() - 0.5));
    y[i] = model::bitsOfFloat(float(random.unit() - 0.5));
  }
  const std::vector<NibErrorTile> tiles = tilesOf(x, y);
  NibErrorSums whole{}, cut{};
  nibErrorsAdd(&whole, tiles.data(), tiles.size(), 0);
  const auto part = [&](size_t from, size_t to) {
    const auto begin = std::ptrdiff_t(from), end = std::ptrdiff_t(to);
    const std::vector<NibErrorTile> some =
        tilesOf({x.begin() + begin, x.begin() + end}, {y.begin() + begin, y.begin() + end});
    nibErrorsAdd(&cut, some.data(), some.size(), from);
  };
  part(0, 2048);
  part(2048, 3072);
  part(3072, 5000);
  CHECK(std::memcmp(&whole, &cut, sizeof whole) == 0);
}
