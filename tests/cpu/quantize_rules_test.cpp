// The rules for scales that are too small or too large, groups with non-finite elements, and given scales.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <limits>
#include <vector>

#include "model.h"
#include "run_op.h"

using namespace nib;
using namespace nib::tests;

namespace {

constexpr uint32_t kNan = 0x7fc00000u, kInf = 0x7f800000u, kSign = 0x80000000u;
const float kInfinity = std::numeric_limits<float>::infinity();
const float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Result {
  std::vector<uint32_t> codes;   // unsigned form, one per element
  std::vector<uint32_t> scales;  // patterns of the scale type
  std::vector<uint8_t> zeros;
  NibStatus status;
};

// Quantizes a matrix of fp32 values by rows. given: bit patterns of given scales, then of zero points.
Result quantizeRows(uint32_t format, uint32_t flags, NibType scale_type, uint32_t rows, const std::vector<float>& x,
                    const std::vector<uint32_t>& given_scales = {}, const std::vector<uint8_t>& given_zeros = {}) {
  const uint32_t cols = uint32_t(x.size() / rows), bytes = scale_type == NIB_TYPE_F32 ? 4 : 2;
  const NibQuantizeDesc d = quantizeDesc(rows, cols, weights(format, NIB_GRANULARITY_ROW, 0, flags, scale_type),
                                         NIB_TYPE_F32, given_scales.empty() ? 0u : uint32_t(NIB_QUANTIZE_GIVEN_SCALES));
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  ranges.clearStatus();
  ranges.write(NIB_ROLE_INPUT, x);
  for (size_t i = 0; i < given_scales.size(); ++i) std::memcpy(ranges.scales() + i * bytes, &given_scales[i], bytes);
  if (!given_zeros.empty()) std::memcpy(ranges.zeros(), given_zeros.data(), given_zeros.size());
  REQUIRE(ranges.run(rows) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());

  Result result;
  const model::Format& f = *model::formatOf(format);
  const uint32_t row_bytes = uint32_t(ranges.memory.part[NIB_PART_CODES].size_bytes / rows);
  for (uint32_t i = 0; i < rows * cols; ++i) {
    const uint32_t bit = i % cols * f.bits;
    uint16_t two;
    std::memcpy(&two, ranges.bytes(NIB_ROLE_WEIGHTS) + i / cols * row_bytes + bit / 8, sizeof two);
    result.codes.push_back(f.stored(uint32_t(two) >> (bit % 8) & ((1u << f.bits) - 1u)));
  }
  for (uint32_t i = 0; i < rows; ++i) {
    uint32_t bits = 0;
    std::memcpy(&bits, ranges.scales() + i * bytes, bytes);
    result.scales.push_back(bits);
    if (flags & NIB_WEIGHTS_ASYMMETRIC) result.zeros.push_back(uint8_t(f.stored(ranges.zeros()[i])));
  }
  result.status = ranges.status();
  return result;
}

using Codes = std::vector<uint32_t>;
using Patterns = std::vector<uint32_t>;

bool has(uint32_t format) { return nibFormatById(format) != nullptr; }

}  // namespace

TEST_CASE("a group whose scale is below 2^-120 is the zero group, one of 2^-120 is not") {
  // Two rows: the scale 2^-120 exactly, and one ulp of fp32 below. int8: absmax = 127.5 s; int4: 7.5 s; NF4: s.
  const float below = std::nextafter(0x1p-120f, 0.0f);
  if (has(NIB_FORMAT_INT8)) {
    // The fp32 below 127.5 is 127.5 - 2^-17; divided by 127.5: 1 - 1.004 * 2^-24, nearest to the fp32 below 1.
    const float high = 127.5f * 0x1p-120f;
    const Result r =
        quantizeRows(NIB_FORMAT_INT8, 0, NIB_TYPE_F32, 2, {high, -0x1p-120f, std::nextafter(high, 0.0f), -0x1p-120f});
    CHECK(r.scales == Patterns{0x03800000u, 0});
    CHECK(r.codes == Codes{255, 127, 128, 128});
  }
  if (has(NIB_FORMAT_INT4)) {
    const float high = 7.5f * 0x1p-120f;
    const Result r =
        quantizeRows(NIB_FORMAT_INT4, 0, NIB_TYPE_F32, 2, {high, -0x1p-120f, std::nextafter(high, 0.0f), -0x1p-120f});
    CHECK(r.scales == Patterns{0x03800000u, 0});
    CHECK(r.codes == Codes{15, 7, 8, 8});
  }
  if (has(NIB_FORMAT_NF4)) {
    const Result r = quantizeRows(NIB_FORMAT_NF4, 0, NIB_TYPE_F32, 2, {0x1p-120f, -0x1p-120f, below, -below});
    CHECK(r.scales == Patterns{0x03800000u, 0});
    CHECK(r.codes == Codes{15, 0, 7, 7});
    CHECK(r.status.saturated_count == 0);
  }
}

TEST_CASE("the rule applies to the scale after its rounding to bfloat16") {
  if (!has(NIB_FORMAT_NF4)) return;
  // bfloat16's neighbours of 2^-120 are 2^-120 (1 + 2^-7) and 2^-120 (1 - 2^-8). The tie below, 1 - 2^-9,
  // goes to the even pattern 0380 = 2^-120; one ulp less goes to 037f, which is too small.
  const float tie = 0x1p-120f * (1.0f - 0x1p-9f);
  const Result r =
      quantizeRows(NIB_FORMAT_NF4, 0, NIB_TYPE_BF16, 3, {tie, -tie, std::nextafter(tie, 0.0f), 0.0f, 0x1p-120f, 0.0f});
  CHECK(r.scales == Patterns{0x0380u, 0, 0x0380u});
  CHECK(r.codes == Codes{15, 0, 7, 7, 15, 7});
}

TEST_CASE("half keeps scales down to 2^-24; a scale that rounds to zero makes the zero group") {
  if (!has(NIB_FORMAT_NF4)) return;
  // 2^-25 is the tie between 0 and the smallest half: even is 0. One ulp more is 2^-24 = 0001. 1.5 * 2^-24 ties to
  // 0002.
  const Result r = quantizeRows(NIB_FORMAT_NF4, 0, NIB_TYPE_F16, 3,
                                {0x1p-25f, 0.0f, std::nextafter(0x1p-25f, 1.0f), 0.0f, 1.5f * 0x1p-24f, -0x1p-23f});
  CHECK(r.scales == Patterns{0x0000u, 0x0001u, 0x0002u});
  // Row 1: just over half of its scale, 0.50000006: code 12 (0.3893 .. 0.50166). Row 2: 0.75: code 14; -1: 0.
  CHECK(r.codes == Codes{7, 7, 12, 7, 14, 0});
}

TEST_CASE("a scale beyond its type saturates and is counted; one that rounds down to the largest is not") {
  if (!has(NIB_FORMAT_NF4)) return;
  // Half: 65504 is the largest, 65520 the tie with 65536. Rows: 65504, just below the tie, the tie, 3e38.
  const float tie = 65520.0f, near = std::nextafter(tie, 0.0f);
  const Result half = quantizeRows(NIB_FORMAT_NF4, 0, NIB_TYPE_F16, 4, {65504.0f, near, tie, 3e38f});
  CHECK(half.scales == Patterns{0x7bffu, 0x7bffu, 0x7bffu, 0x7bffu});
  CHECK(half.status.saturated_count == 2);
  CHECK(half.codes == Codes{15, 15, 15, 15});
  // bfloat16 and fp32 scales end at 2^126, 7e80: rows of absmax 2^126, just more, and the largest fp32. Half of 2^126
  // is 0.5 of each scale: code 12 (0.3893 .. 0.50166).
  for (const NibType type : {NIB_TYPE_BF16, NIB_TYPE_F32}) {
    const Result r =
        quantizeRows(NIB_FORMAT_NF4, 0, type, 3,
                     {0x1p126f, 0x1p125f, std::nextafter(0x1p126f, INFINITY), 0x1p125f, -0x1.fffffep127f, 0x1p125f});
    CHECK(r.scales == (type == NIB_TYPE_BF16 ? Patterns(3, 0x7e80u) : Patterns(3, 0x7e800000u)));
    CHECK(r.codes == Codes{15, 12, 15, 12, 0, 12});
    CHECK(r.status.saturated_count == 2);
  }
}

TEST_CASE("an affine scale beyond half saturates: large values get the last codes") {
  if (!has(NIB_FORMAT_INT4)) return;
  // absmax 3e6: s = 4e5, stored as 65504; 3e6 / 65504 = 45.8 is beyond 7, -3e5 / 65504 = -4.58 is -5, 0 is 0.
  const Result r = quantizeRows(NIB_FORMAT_INT4, 0, NIB_TYPE_F16, 1, {3e6f, -3e6f, -3e5f, 0.0f});
  CHECK(r.scales == Patterns{0x7bffu});
  CHECK(r.codes == Codes{15, 0, 3, 8});
  CHECK(r.status.saturated_count == 1);
  // Asymmetric, all negative: -3e6 / 65504 = -45.8 would put the zero point at 46; it stops at 15.
  const Result a = quantizeRows(NIB_FORMAT_INT4, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F16, 1, {-3e6f, -1e5f, 0.0f});
  CHECK(a.zeros == std::vector<uint8_t>{15});
  CHECK(a.codes == Codes{0, 13, 15});
}

TEST_CASE("the range of an asymmetric group may exceed fp32: halves do not") {
  if (!has(NIB_FORMAT_INT4)) return;
  // max 3e38, min -3e38: h = 3e38, s = 3e38 / 7.5 = 4e37, z = 3e38 / s = 7.5, a tie except for the rounding of s.
  const Result r =
      quantizeRows(NIB_FORMAT_INT4, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F32, 1, {3e38f, -3e38f, 0.0f, 1.1e38f});
  const double s = double(float(double(3e38f) / 7.5));
  CHECK(r.scales == Patterns{model::bitsOfFloat(float(s))});
  const uint32_t zero = r.zeros[0];
  CHECK((zero == 7 || zero == 8));
  CHECK(zero == uint32_t(model::halfEven(double(float(double(3e38f) / s)))));
  CHECK(r.codes[0] == 15);
  CHECK(r.codes[1] == 0);
  CHECK(r.codes[2] == zero);
  CHECK(r.codes[3] == zero + 3);  // 1.1e38 / 4e37 = 2.75
  CHECK(r.status.saturated_count == 0);
  if (!has(NIB_FORMAT_INT8)) return;
  const Result wide = quantizeRows(NIB_FORMAT_INT8, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F32, 1,
                                   {model::floatOfBits(0x7f7fffffu), model::floatOfBits(0xff7fffffu), 0.0f});
  CHECK((wide.zeros[0] == 127 || wide.zeros[0] == 128));
  CHECK(wide.codes == Codes{255, 0, wide.zeros[0]});
}

TEST_CASE("asymmetric groups of one sign keep zero exactly representable") {
  for (const model::Format& format : model::scaledFormats()) {
    if (!format.affine()) continue;
    const uint32_t levels = uint32_t(format.levels());
    // No element is zero, yet the range begins (ends) at zero: z is the first (last) code.
    const Result r =
        quantizeRows(format.id, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F32, 2, {100.0f, 101.0f, -101.0f, -100.0f});
    CHECK(r.zeros == std::vector<uint8_t>{0, uint8_t(levels)});
    // 100 / 101 of the range: 252.5 and 14.85 steps; 252.475 rounds to 252.
    CHECK(r.codes == Codes{uint32_t(std::lround(levels * 100.0 / 101.0)), levels, 0,
                           levels - uint32_t(std::lround(levels * 100.0 / 101.0))});
  }
}

TEST_CASE("a group with a non-finite value is the zero group, and its non-finite elements are counted") {
  for (const model::Format& format : model::scaledFormats()) {
    const uint32_t middle = format.zeroCode();
    // Row 1 has two, row 3 one; rows 0 and 2 are finite. The lowest index is 1 * 3 + 1 = 4.
    const std::vector<float> x{1.0f, -1.0f, 0.0f, 5.0f, kNaN, -kInfinity, -2.0f, 2.0f, 0.0f, kInfinity, 3.0f, 4.0f};
    const Result r = quantizeRows(format.id, 0, NIB_TYPE_F32, 4, x);
    CHECK(r.scales[0] != 0);
    CHECK(r.scales[1] == 0);
    CHECK(r.scales[2] == r.scales[0] + 0x00800000u);  // twice
    CHECK(r.scales[3] == 0);
    for (const size_t i : {2, 3, 4, 5, 8, 9, 10, 11}) CHECK(r.codes[i] == middle);
    CHECK(r.status.nonfinite_count == 3);
    CHECK(~r.status.first_nonfinite_not == 4);
    CHECK(r.status.saturated_count == 0);
  }
  if (!has(NIB_FORMAT_INT4)) return;
  const Result a = quantizeRows(NIB_FORMAT_INT4, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F32, 1, {100.0f, kNaN, 50.0f});
  CHECK(a.codes == Codes{8, 8, 8});
  CHECK(a.zeros == std::vector<uint8_t>{8});
  CHECK(a.scales == Patterns{0});
}

TEST_CASE("with a given scale only the non-finite element itself becomes the code of zero") {
  if (!has(NIB_FORMAT_INT4)) return;
  const Result r = quantizeRows(NIB_FORMAT_INT4, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F32, 1,
                                {1.0f, kNaN, 2.0f, kInfinity, -kInfinity}, {0x3f800000u}, {5});
  CHECK(r.codes == Codes{6, 5, 7, 5, 5});
  CHECK(r.status.nonfinite_count == 3);
  CHECK(~r.status.first_nonfinite_not == 1);
}

TEST_CASE("huge elements with a tiny given scale saturate, down to the smallest scale") {
  for (const model::Format& format : model::scaledFormats()) {
    const uint32_t levels = uint32_t(format.levels());
    const float largest = model::floatOfBits(0x7f7fffffu);
    const Result r =
        quantizeRows(format.id, 0, NIB_TYPE_F32, 1, {largest, -largest, 1e-36f, -1e-36f, 0.0f}, {0x03800000u});
    CHECK(r.codes[4] == format.zeroCode());
    // 1e-36 * 2^120 = 1.329: code 1 beyond the middle, or NF4's last; a signed magnitude's nearest.
    if (format.affine() || format.kind == model::Kind::kCodebook) {
      CHECK(r.codes[0] == levels);
      CHECK(r.codes[1] == 0);
      CHECK(r.codes[2] == (format.affine() ? uint32_t(format.middle()) + 1 : 15u));
      CHECK(r.codes[3] == (format.affine() ? uint32_t(format.middle()) - 1 : 0u));
    } else if (format.mean()) {
      CHECK(r.codes == (format.kind == model::Kind::kTernary ? Codes{3, 1, 3, 1, 2} : Codes{1, 0, 1, 0, 1}));
    } else {
      const bool fp4 = format.kind == model::Kind::kSignedCodebook;
      const uint32_t most = fp4 ? 3u : format.small.last, sign = 1u << (format.bits - 1u);
      const uint32_t near = fp4 ? 3u : model::nearestMagnitude(format, 1.329);
      CHECK(r.codes == Codes{most, most | sign, near, near | sign, 0u});
    }
    CHECK(r.status.nonfinite_count == 0);
    CHECK(r.scales == Patterns{0x03800000u});  // given scales are read, not written
  }
}

TEST_CASE("given scales that are not at least 2^-120 and finite act as the zero group and are not changed") {
  for (const model::Format& format : model::scaledFormats()) {
    const uint32_t middle = format.zeroCode();
    const Patterns bad{0u,           kSign,       kNan,        kNan | kSign, kInf,
                       kInf | kSign, 0xbf800000u, 0x037fffffu, 0x00000001u,  0x7f800001u};
    const Result r = quantizeRows(format.id, 0, NIB_TYPE_F32, 10, std::vector<float>(20, 1.0f), bad);
    CHECK(r.codes == Codes(20, middle));
    CHECK(r.scales == bad);
    // Half: Inf, NaN, negative, -0. bfloat16: the same and one below 2^-120.
    const Patterns bad_half{0x7c00u, 0x7e00u, 0xbc00u, 0x8000u};
    CHECK(quantizeRows(format.id, 0, NIB_TYPE_F16, 4, std::vector<float>(8, 1.0f), bad_half).codes == Codes(8, middle));
    const Patterns bad_bfloat{0x7f80u, 0x7fc0u, 0xbf80u, 0x037fu};
    CHECK(quantizeRows(format.id, 0, NIB_TYPE_BF16, 4, std::vector<float>(8, 1.0f), bad_bfloat).codes ==
          Codes(8, middle));
  }
  if (!has(NIB_FORMAT_INT8)) return;
  // The zero point given with such a scale is the code of 0.
  CHECK(quantizeRows(NIB_FORMAT_INT8, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F32, 1, {1.0f, -9.0f}, {0u}, {0x85}).codes ==
        Codes{5, 5});
}

TEST_CASE("denormal inputs are zeros") {
  for (const model::Format& format : model::scaledFormats()) {
    const uint32_t middle = format.zeroCode();
    const float tiny = model::floatOfBits(1), large = model::floatOfBits(0x007fffffu);
    const Result alone = quantizeRows(format.id, 0, NIB_TYPE_F32, 1, {tiny, -tiny, large, -large});
    CHECK(alone.scales == Patterns{0});
    CHECK(alone.codes == Codes(4, middle));
    CHECK(alone.status.nonfinite_count == 0);
    // In a group with a small scale.
    const Result small = quantizeRows(format.id, 0, NIB_TYPE_F32, 1, {0x1p-100f, large, -large, tiny});
    CHECK(small.scales[0] != 0);
    CHECK(small.codes[1] == middle);
    // FP8 keeps the sign of zeros.
    CHECK(small.codes[2] == (format.kind == model::Kind::kFloat ? 0x80u : middle));
  }
}

TEST_CASE("denormals next to the smallest scale are zeros, and 2^-126 is not") {
  // With the scale 2^-120 the largest denormal is 2^-6 steps: FP8 and FP4 have codes of that size, a binary code keeps
  // the sign, and a mean would have other bits.
  const float large = model::floatOfBits(0x007fffffu), tiny = model::floatOfBits(1), smallest = 0x1p-126f;
  for (const model::Format& format : model::scaledFormats()) {
    CAPTURE(format.id);
    const uint32_t zero = format.zeroCode(), sign = 1u << (format.bits - 1u);
    const uint32_t negative_zero = format.kind == model::Kind::kFloat ? sign : zero;
    uint32_t plus = zero, minus = zero;  // the codes of 2^-6 steps
    if (format.kind == model::Kind::kFloat) {
      plus = model::nearestMagnitude(format, 0x1p-6);
      minus = plus | sign;
      CHECK(plus != 0);
    } else if (format.kind == model::Kind::kSignedCodebook) {
      uint32_t rank = 0;
      while (double(format.thresholds[rank]) < 0x1p-6) ++rank;
      plus = format.ascending[rank];
      minus = plus | sign;
      CHECK(plus != 0);
    } else if (format.kind == model::Kind::kBinary) {
      minus = 0;
    }
    const Codes expected{zero, negative_zero, zero, negative_zero, plus, minus};
    const std::vector<float> x{large, -large, tiny, -tiny, smallest, -smallest};
    CHECK(quantizeRows(format.id, 0, NIB_TYPE_F32, 1, x, {0x03800000u}).codes == expected);

    // The same scale, found: in the mean of four elements only 2^-118 counts.
    const double largest = format.affine()                      ? format.levels() / 2
                           : format.kind == model::Kind::kFloat ? model::magnitudeOf(format, format.small.last)
                                                                : 1.0;
    const float end = format.mean() ? 0x1p-118f : float(largest * 0x1p-120);
    const Result found = quantizeRows(format.id, 0, NIB_TYPE_F32, 1, {end, large, -large, -tiny});
    CHECK(found.scales == Patterns{0x03800000u});
    CHECK((found.codes[0] != zero || format.kind == model::Kind::kBinary));  // a binary +1 is the code of 0
    CHECK(Codes(found.codes.begin() + 1, found.codes.end()) == Codes{zero, negative_zero, negative_zero});
  }
}
