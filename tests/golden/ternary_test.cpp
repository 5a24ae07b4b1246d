// Ternary, byte for byte: codes + 2, sixteen to a word; the scale is the mean of the magnitudes. Worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {

constexpr uint32_t kTernary = NIB_FORMAT_TERNARY;
const NibWeights kRow = weights(kTernary, NIB_GRANULARITY_ROW, 0);
const Bytes kOne{0x00, 0x00, 0x80, 0x3f};  // 1.0f
const float kLargest = 0x1.fffffep127f;

Words scalesOf(const std::vector<float>& row) { return quantize(1, uint32_t(row.size()), kRow, row).scaleWords(); }

}  // namespace

NIB_DEFINE_FORMAT_MODEL(ternary, {.kind = Kind::kTernary})

TEST_CASE("ternary has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  CHECK(uint32_t(NIB_FORMAT_TERNARY) == 8);
  const NibFormatInfo& info = *nibFormatById(kTernary);
  CHECK(info.bits == 2);
  CHECK(info.weights_flags == (NIB_WEIGHTS_NARROW | NIB_WEIGHTS_FLAT));
  CHECK(info.flags == NIB_FORMAT_MEAN_SCALE);
  CHECK(info.group_multiple == 16);
}

TEST_CASE("ternary: the scale is the mean of magnitudes, codes are the nearest of -1, 0, 1, ties to 0") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  // 2 + 2 + 0.5 + 0.5 + 0.625 + 0.375 + 1.5 + 0.5 = 8, of 8 elements: s = 1.
  // 2 -> 1 -> 3; -2 -> -1 -> 1; 0.5 and -0.5 tie to 0 -> 2; 0.625 -> 3; -0.375 -> 2; 1.5 -> 3; -0.5 -> 2:
  // 3 | 1<<2 | 2<<4 | 2<<6 = 0xa7; 3 | 2<<2 | 3<<4 | 2<<6 = 0xbb.
  const std::vector<float> x{2.0f, -2.0f, 0.5f, -0.5f, 0.625f, -0.375f, 1.5f, -0.5f};
  const Blob mean = quantize(1, 8, kRow, x);
  CHECK(mean.codeWords() == Words{0xbba7u});
  CHECK(mean.scaleWords() == Words{0x3f800000u});
  CHECK(mean.zeros.empty());
  // NARROW: s = 2, the largest. 0.625 / 2 is 0 now: 2 | 2<<2 | 3<<4 | 2<<6 = 0xba.
  const Blob narrow = quantize(1, 8, weights(kTernary, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW), x);
  CHECK(narrow.codeWords() == Words{0xbaa7u});
  CHECK(narrow.scaleWords() == Words{0x40000000u});
  // The tie: 1 / 2.
  CHECK(quantize(1, 2, weights(kTernary, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW), {1.0f, 2.0f}).codeWords() ==
        Words{0xeu});
}

TEST_CASE("ternary codes decode to (code - 2) * scale, as int2's do") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  CHECK(dequantize(1, 4, kRow, {0xe4, 0, 0, 0}, kOne) == Words{0xc0000000u, 0xbf800000u, 0u, 0x3f800000u});
  // A zero group is +0.
  CHECK(dequantize(1, 4, kRow, {0xe4, 0, 0, 0}, {0, 0, 0, 0}) == Words(4, 0u));
}

TEST_CASE("ternary: zeros of both signs are code 2, in zero groups and among other values") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  const Blob zeros = quantize(1, 4, kRow, {0.0f, -0.0f, -0.0f, 0.0f});
  CHECK(zeros.codeWords() == Words{0xaau});
  CHECK(zeros.scaleWords() == Words{0});
  // Mean 1/2: 2 | 3<<2 | 2<<4 | 1<<6 = 0x6e.
  CHECK(quantize(1, 4, kRow, {-0.0f, 1.0f, 0.0f, -1.0f}).codeWords() == Words{0x6eu});
}

TEST_CASE("ternary: the mean counts magnitudes in units of 2^-22 of the largest's power of two, halves up") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  // Largest 1: a unit is 2^-22. 2^-23 is half a unit and counts as one: (2^22 + 1) / 2 units = 1/2 + 2^-23, two ulps of
  // 2^-24 above a half. The next smaller number counts as 0.
  CHECK(scalesOf({1.0f, 0x1p-23f}) == Words{0x3f000002u});
  CHECK(scalesOf({1.0f, std::nextafter(0x1p-23f, 0.0f)}) == Words{0x3f000000u});
  // 1 + 2^-23 is 2^22 + 1/2 units, so 2^22 + 1: alone, 1 + 2^-22.
  CHECK(scalesOf({std::nextafter(1.0f, 2.0f)}) == Words{0x3f800002u});
  // 4/3 rounded half-even: 1/3 * 2^23 = 2796202.67: 0x2aaaab.
  CHECK(scalesOf({1.0f, -1.0f, 2.0f}) == Words{0x3faaaaabu});
  // A sum of more than 24 bits is rounded first: 7 times 2^22 + 1 units is 29360135 = 0x1c00007, between ..06 and ..08,
  // the latter even in bit 1; 0x1c00008 / 7 = 4194305.14 units, and a ulp of numbers from 2^22 units on is half a unit.
  CHECK(scalesOf(std::vector<float>(7, 1.0f + 0x1p-22f)) == Words{0x3f800002u});
}

TEST_CASE("ternary: the error of the mean with one large element is within its unit") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  // 2^24: a unit is 4. Fifteen ones are a quarter of a unit each and count as 0: 2^22 / 16 units = 2^20; the true mean
  // is 0.94 more.
  std::vector<float> x(16, 1.0f);
  x[0] = 0x1p24f;
  const Blob ones = quantize(1, 16, kRow, x);
  CHECK(ones.scaleWords() == Words{0x49800000u});
  CHECK(ones.codeWords() == Words{0xaaaaaaabu});
  // Fifteen twos are half a unit each and count as one: (2^22 + 15) / 16 units = 2^20 + 3.75, 30 ulps of 1/8. The true
  // mean is 1.875 less; 2^-23 of the largest is 2.
  for (size_t i = 1; i < 16; ++i) x[i] = -2.0f;
  CHECK(quantize(1, 16, kRow, x).scaleWords() == Words{0x4980001eu});
}

TEST_CASE("ternary rows of several runs, and the last one short") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  // Twenty of 3, twenty of -1: s = 2. 3/2 ties to 2, saturates at 1 -> 3; -1/2 ties to 0 -> 2.
  std::vector<float> x(40, -1.0f);
  for (size_t i = 0; i < 20; ++i) x[i] = 3.0f;
  const Blob blob = quantize(1, 40, kRow, x);
  CHECK(blob.codeWords() == Words{0xffffffffu, 0xaaaaaaffu, 0x0000aaaau});
  CHECK(blob.scaleWords() == Words{0x40000000u});
  // Groups of 16: 3; (4 * 3 + 12) / 16 = 1.5; 1. -1 / 1.5 = -0.67 -> 1, and -1 / 1 -> 1.
  const Blob groups = quantize(1, 40, weights(kTernary, NIB_GRANULARITY_GROUP, 16), x);
  CHECK(groups.codeWords() == Words{0xffffffffu, 0x555555ffu, 0x00005555u});
  CHECK(groups.scaleWords() == Words{0x40400000u, 0x3fc00000u, 0x3f800000u});
}

TEST_CASE("ternary: one scale per tensor, and one per column") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  // 1 -4 / -3 0: the tensor's mean is 8 / 4 = 2, the columns' are 4 / 2 both. 1/2 -> 2, -2 -> 1; -3/2 -> 1, 0 -> 2.
  const std::vector<float> x{1.0f, -4.0f, -3.0f, 0.0f};
  const Blob all = quantize(2, 2, weights(kTernary, NIB_GRANULARITY_TENSOR, 0), x);
  CHECK(all.codeWords() == Words{0x6u, 0x9u});
  CHECK(all.scaleWords() == Words{0x40000000u});
  const Blob columns = quantize(2, 2, weights(kTernary, NIB_GRANULARITY_COLUMN, 0), x);
  CHECK(columns.codeWords() == Words{0x6u, 0x9u});
  CHECK(columns.scaleWords() == Words{0x40000000u, 0x40000000u});
}

TEST_CASE("ternary scales are rounded to their type before codes are made") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  // The mean is 1 + 2^-12, and the first element is its half. As fp16 the scale is 1, so that it is above the tie.
  const std::vector<float> x{0.5f + 0x1p-13f, 1.5f + 3 * 0x1p-13f};
  const Blob half = quantize(1, 2, weights(kTernary, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), x);
  CHECK(half.scaleWords() == Words{0x3c00u});
  CHECK(half.codeWords() == Words{0xfu});
  // As fp32 1/s = 1 - 2^-12 + 2^-24, and x times that is 1/2 (1 + 2^-36): the tie.
  const Blob single = quantize(1, 2, kRow, x);
  CHECK(single.scaleWords() == Words{0x3f800800u});
  CHECK(single.codeWords() == Words{0xeu});
}

TEST_CASE("ternary scales saturate at the limits of other formats") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  const Blob half = quantize(1, 2, weights(kTernary, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), {1e6f, -1e6f});
  CHECK(half.scaleWords() == Words{0x7bffu});
  CHECK(half.codeWords() == Words{0x7u});
  CHECK(half.status.saturated_count == 1);
  // The largest fp32 rounds to 2^23 units: the mean is 2^128, and the scale 2^126.
  const Blob single = quantize(1, 2, kRow, {kLargest, -kLargest});
  CHECK(single.scaleWords() == Words{0x7e800000u});
  CHECK(single.codeWords() == Words{0x7u});
  CHECK(single.status.saturated_count == 1);
}

TEST_CASE("ternary rows with non-finite elements are zero groups, and these elements are counted") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  const Blob blob = quantize(2, 3, kRow, {1.0f, INFINITY, NAN, 1.0f, -1.0f, 1.0f});
  CHECK(blob.codeWords() == Words{0x2au, 0x37u});
  CHECK(blob.scaleWords() == Words{0, 0x3f800000u});
  CHECK(blob.status.nonfinite_count == 2);
  CHECK(~blob.status.first_nonfinite_not == 1);
}

TEST_CASE("ternary with given scales saturates, and only non-finite elements themselves are 0") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_TERNARY);
  // 2, 2, 3, 1 -> 0x7a; 1/2 ties to 0 -> 2, 3/4 -> 3: 0x0e.
  const Blob blob =
      quantize(1, 6, kRow, NIB_TYPE_F32, std::vector<float>{INFINITY, NAN, kLargest, -kLargest, 0.5f, 0.75f}, kOne);
  CHECK(blob.codeWords() == Words{0x0e7au});
  CHECK(blob.status.nonfinite_count == 2);
}
