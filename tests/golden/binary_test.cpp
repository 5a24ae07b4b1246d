// Binary, byte for byte: a bit per element, 1 = plus; the scale is the mean of the magnitudes. Worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {

constexpr uint32_t kBinary = NIB_FORMAT_BINARY;
const NibWeights kRow = weights(kBinary, NIB_GRANULARITY_ROW, 0);
const Bytes kOne{0x00, 0x00, 0x80, 0x3f};  // 1.0f
const float kSmallestNormal = 0x1p-126f;

}  // namespace

NIB_DEFINE_FORMAT_MODEL(binary, {.kind = Kind::kBinary})

TEST_CASE("binary has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  CHECK(uint32_t(NIB_FORMAT_BINARY) == 9);
  const NibFormatInfo& info = *nibFormatById(kBinary);
  CHECK(info.bits == 1);
  CHECK(info.weights_flags == NIB_WEIGHTS_FLAT);
  CHECK(info.flags == NIB_FORMAT_MEAN_SCALE);
  CHECK(info.group_multiple == 32);
}

TEST_CASE("binary: a code is 1 unless the element is below 0; the scale is the mean of magnitudes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  // 1 + 1 + 3 + 3 + 0 + 0 + 4 + 4 = 16, of 8: s = 2. Bits 1 0 1 0 1 1 1 0 from the lowest: 0x75.
  const Blob blob = quantize(1, 8, kRow, {1.0f, -1.0f, 3.0f, -3.0f, 0.0f, -0.0f, 4.0f, -4.0f});
  CHECK(blob.codeWords() == Words{0x75u});
  CHECK(blob.scaleWords() == Words{0x40000000u});
  CHECK(blob.zeros.empty());
  const uint32_t plus = 0x40000000u, minus = 0xc0000000u;
  CHECK(dequantize(1, 8, kRow, blob.codes, blob.scales) == Words{plus, minus, plus, minus, plus, plus, plus, minus});
}

TEST_CASE("binary: the smallest negative normal number is minus, negative denormals count as zero and are plus") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  // 1, -2^-126, the denormal below it, the smallest one, -1: 1 0 1 1 0.
  const float below = std::nextafter(kSmallestNormal, 0.0f), smallest = std::nextafter(0.0f, 1.0f);
  CHECK(quantize(1, 5, kRow, {1.0f, -kSmallestNormal, -below, -smallest, -1.0f}).codeWords() == Words{0xdu});
}

TEST_CASE("binary: the codes of a zero group are plus and decode to +0") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  const Blob zeros = quantize(1, 3, kRow, {0.0f, -0.0f, 0.0f});
  CHECK(zeros.codeWords() == Words{0x7u});
  CHECK(zeros.scaleWords() == Words{0});
  // The mean of 2^-121 and 2^-122 is below 2^-120.
  const Blob tiny = quantize(1, 2, kRow, {-0x1p-121f, 0x1p-122f});
  CHECK(tiny.codeWords() == Words{0x3u});
  CHECK(tiny.scaleWords() == Words{0});
  // 2^-120 itself is a scale.
  CHECK(quantize(1, 2, kRow, {-0x1p-120f, 0x1p-120f}).codeWords() == Words{0x2u});
  CHECK(dequantize(1, 2, kRow, {0x2, 0, 0, 0}, {0, 0, 0, 0}) == Words{0, 0});
}

TEST_CASE("binary rows of several runs, the last one short, and groups of a word") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  // 32 of 1, then alternating -1 and 1, then six of -3: (64 + 18) / 70 = 1.1714286: 0.1714286 * 2^23 = 1438047.1 =
  // 0x15f15f.
  std::vector<float> x(70, 1.0f);
  for (size_t i = 32; i < 64; i += 2) x[i] = -1.0f;
  for (size_t i = 64; i < 70; ++i) x[i] = -3.0f;
  const Blob blob = quantize(1, 70, kRow, x);
  CHECK(blob.codeWords() == Words{0xffffffffu, 0xaaaaaaaau, 0u});
  CHECK(blob.scaleWords() == Words{0x3f95f15fu});
  const Blob groups = quantize(1, 70, weights(kBinary, NIB_GRANULARITY_GROUP, 32), x);
  CHECK(groups.codeWords() == Words{0xffffffffu, 0xaaaaaaaau, 0u});
  CHECK(groups.scaleWords() == Words{0x3f800000u, 0x3f800000u, 0x40400000u});
}

TEST_CASE("binary flat groups run across row ends") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  // 3 x 11 = 33 elements; the last is a group of its own.
  std::vector<float> x(33, -2.0f);
  x[11] = 2.0f;
  x[32] = 5.0f;
  const Blob blob = quantize(3, 11, weights(kBinary, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_FLAT), x);
  CHECK(blob.codeWords() == Words{0x800u, 0x1u});
  CHECK(blob.scaleWords() == Words{0x40000000u, 0x40a00000u});
}

TEST_CASE("binary: one scale per tensor, one per column, and half scales") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  // 1 -4 / -3 1: the tensor's mean is 9 / 4 = 2.25, the columns' are 2 and 2.5.
  const std::vector<float> x{1.0f, -4.0f, -3.0f, 1.0f};
  const Blob all = quantize(2, 2, weights(kBinary, NIB_GRANULARITY_TENSOR, 0), x);
  CHECK(all.codeWords() == Words{0x1u, 0x2u});
  CHECK(all.scaleWords() == Words{0x40100000u});
  const Blob columns = quantize(2, 2, weights(kBinary, NIB_GRANULARITY_COLUMN, 0, 0, NIB_TYPE_F16), x);
  CHECK(columns.codeWords() == Words{0x1u, 0x2u});
  CHECK(columns.scaleWords() == Words{0x41004000u});
}

TEST_CASE("binary: one large element") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  // 2^30 and 31 of -1, which are below its 24 bits: 2^30 / 32 = 2^25.
  std::vector<float> x(32, -1.0f);
  x[31] = 0x1p30f;
  const Blob blob = quantize(1, 32, kRow, x);
  CHECK(blob.codeWords() == Words{0x80000000u});
  CHECK(blob.scaleWords() == Words{0x4c000000u});
}

TEST_CASE("binary rows with non-finite elements are zero groups; with given scales such elements are plus") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_BINARY);
  const Blob found = quantize(2, 3, kRow, {-1.0f, -INFINITY, NAN, 1.0f, -1.0f, -1.0f});
  CHECK(found.codeWords() == Words{0x7u, 0x1u});
  CHECK(found.scaleWords() == Words{0, 0x3f800000u});
  CHECK(found.status.nonfinite_count == 2);
  CHECK(~found.status.first_nonfinite_not == 1);
  const Blob given = quantize(1, 4, kRow, NIB_TYPE_F32, std::vector<float>{-INFINITY, -NAN, 3e38f, -3e38f}, kOne);
  CHECK(given.codeWords() == Words{0x7u});
  CHECK(given.status.nonfinite_count == 2);
  // A scale without a normal reciprocal acts as the zero group, as in all formats: 2^127.
  CHECK(quantize(1, 2, kRow, NIB_TYPE_F32, std::vector<float>{-1.0f, 1.0f}, {0, 0, 0, 0x7f}).codeWords() ==
        Words{0x3u});
}
