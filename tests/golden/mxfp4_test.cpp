// MXFP4 (OCP Microscaling 1.0), byte for byte: E2M1 codes and a power of two, e - 127, per 32 elements. Worked out by
// hand.
#include <doctest/doctest.h>

#include <cmath>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {

constexpr uint32_t kMxfp4 = NIB_FORMAT_MXFP4;
constexpr uint32_t kRules[4] = {NIB_WEIGHTS_SCALE_FLOOR, NIB_WEIGHTS_SCALE_CEIL, NIB_WEIGHTS_SCALE_EVEN,
                                NIB_WEIGHTS_SCALE_RCEIL};

NibWeights mx(uint32_t rule = 0) { return weights(kMxfp4, NIB_GRANULARITY_GROUP, 32, rule, NIB_TYPE_E8M0); }

uint8_t exponentOf(float absmax, uint32_t rule) { return quantize(1, 1, mx(rule), {absmax}).scales.at(0); }

Words codesOf(const std::vector<float>& x, uint8_t e = 127) {
  return quantize(1, uint32_t(x.size()), mx(), NIB_TYPE_F32, x, Bytes{e}).codeWords();
}

}  // namespace

NIB_DEFINE_FORMAT_MODEL(mxfp4, {.kind = Kind::kFloat, .small = {.mantissa_bits = 1, .bias = 1, .last = 7}})

TEST_CASE("MXFP4 has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_MXFP4);
  const NibFormatInfo* info = nibFormatById(kMxfp4);
  CHECK(uint32_t(NIB_FORMAT_MXFP4) == 13);
  CHECK(info->bits == 4);
  CHECK(info->group_multiple == 32);
  CHECK(info->group_max == 32);
  CHECK(info->scale_types == 1u << NIB_TYPE_E8M0);
  CHECK(info->granularities == 1u << NIB_GRANULARITY_GROUP);
}

TEST_CASE("MXFP4 codes 0..15 are 0, 1/2, 1, 3/2, 2, 3, 4, 6 and their negatives") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_MXFP4);
  const Bytes all{0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};
  CHECK(dequantize(1, 16, mx(), all, {127}) ==
        Words{0x00000000u, 0x3f000000u, 0x3f800000u, 0x3fc00000u, 0x40000000u, 0x40400000u, 0x40800000u, 0x40c00000u,
              0x80000000u, 0xbf000000u, 0xbf800000u, 0xbfc00000u, 0xc0000000u, 0xc0400000u, 0xc0800000u, 0xc0c00000u});
  // e = 130: times 8.
  CHECK(dequantize(1, 2, mx(), {0x71, 0, 0, 0}, {130}) == Words{0x40800000u, 0x42400000u});
  // e = 254, 2^127: 6 * 2^127 exceeds fp32; 1 * 2^127 is 7f000000. e = 255 is NaN, e = 6 is 2^-121: zero groups.
  CHECK(dequantize(1, 2, mx(), {0x27, 0, 0, 0}, {254}) == Words{0x7f7fffffu, 0x7f000000u});
  CHECK(dequantize(1, 2, mx(), {0xf7, 0, 0, 0}, {255}) == Words{0u, 0u});
  CHECK(dequantize(1, 2, mx(), {0xf7, 0, 0, 0}, {6}) == Words{0u, 0u});
  // e = 7: 6 * 2^-120 = 1.5 * 2^-118: exponent 9: 04c00000.
  CHECK(dequantize(1, 1, mx(), {0x07, 0, 0, 0}, {7}) == Words{0x04c00000u});
}

TEST_CASE("MXFP4 rounds to nearest, ties to even codes, saturates at 6 and keeps signs") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_MXFP4);
  // Ties: 1/4 -> 0, 3/4 -> 1 (2), 5/4 -> 1 (2), 7/4 -> 2 (4), 5/2 -> 2 (4), 7/2 -> 4 (6), 5 -> 4 (6); 7.9 -> 6 (7).
  CHECK(codesOf({0.25f, 0.75f, 1.25f, 1.75f, 2.5f, 3.5f, 5.0f, 7.9f}) == Words{0x76644220u});
  CHECK(codesOf({-0.26f, -0.74f, -1.26f, -1.74f, -2.6f, -3.4f, -5.1f, -0.0f}) == Words{0x8fddbb99u});
  CHECK(codesOf({-0.2f, NAN, 1e38f, -1e38f}) == Words{0xf708u});
}

TEST_CASE("MXFP4 scale rules are those of OCP, torchao and compressed-tensors") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_MXFP4);
  struct Row {
    float absmax;
    int floor, ceil, even, rceil;  // exponents
  };
  const Row rows[] = {
      {4.0f, 0, 0, 0, 0},  // a power of two: the same by all rules
      {4.5f, 0, 1, 0, 0},  // 4.5 fits in 6
      {6.0f, 0, 1, 0, 0},  // just fits
      {6.5f, 0, 1, 0, 1},  // 1.625 * 4: rounds to 1.5 with one mantissa bit; does not fit
      {7.0f, 0, 1, 1, 1},  // 1.75 * 4 rounds to 2 * 4
      {7.9f, 0, 1, 1, 1}, {1.0f, -2, -2, -2, -2}, {0.875f, -3, -2, -2, -2},
  };
  for (const Row& row : rows) {
    INFO(row.absmax);
    const int wanted[4] = {row.floor, row.ceil, row.even, row.rceil};
    for (size_t i = 0; i < 4; ++i) CHECK(int(exponentOf(row.absmax, kRules[i])) == wanted[i] + 127);
  }
  // Next to a power of two the exponent comes from the bits.
  const float below = std::nextafter(8.0f, 0.0f), above = std::nextafter(8.0f, 9.0f);
  CHECK(exponentOf(below, NIB_WEIGHTS_SCALE_FLOOR) == 127);
  CHECK(exponentOf(8.0f, NIB_WEIGHTS_SCALE_FLOOR) == 128);
  CHECK(exponentOf(above, NIB_WEIGHTS_SCALE_CEIL) == 129);
  CHECK(exponentOf(std::nextafter(6.0f, 7.0f), NIB_WEIGHTS_SCALE_RCEIL) == 128);
  CHECK(exponentOf(std::nextafter(7.0f, 0.0f), NIB_WEIGHTS_SCALE_EVEN) == 127);
}

TEST_CASE("MXFP4 blocks of 32, four exponents to a word") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_MXFP4);
  // One row of 65: blocks with absmax 4, 8 and, alone, 16 (e 127, 128, 129).
  std::vector<float> x(65, 0.0f);
  x[0] = 4.0f;    // 4 / 1: code 6
  x[31] = -1.0f;  // code a
  x[32] = -8.0f;  // -8 / 2: code e
  x[33] = 1.0f;   // 1 / 2: code 1
  x[64] = 16.0f;  // 16 / 4: code 6
  const Blob blob = quantize(1, 65, mx(), x);
  CHECK(blob.scales == Bytes{127, 128, 129, 0});
  CHECK(blob.codeWords() == Words{6u, 0u, 0u, 0xa0000000u, 0x1eu, 0u, 0u, 0u, 6u});
}

TEST_CASE("MXFP4 zero groups have exponent 0 and codes 0") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_MXFP4);
  const Blob zero = quantize(1, 2, mx(), {0.0f, -0.0f});
  CHECK(zero.scales == Bytes{0, 0, 0, 0});
  CHECK(zero.codeWords() == Words{0});
  // 2^-118 gives 2^-120, the smallest scale; below it is the zero group.
  CHECK(quantize(1, 1, mx(), {0x1p-118f}).scales == Bytes{7, 0, 0, 0});
  CHECK(quantize(1, 1, mx(), {-0x1.fp-119f}).scales == Bytes{0, 0, 0, 0});
  CHECK(quantize(1, 1, mx(), {-0x1.fp-119f}).codeWords() == Words{0});
  const Blob bad = quantize(1, 3, mx(), {1.0f, INFINITY, -2.0f});
  CHECK(bad.scales == Bytes{0, 0, 0, 0});
  CHECK(bad.codeWords() == Words{0});
  CHECK(bad.status.nonfinite_count == 1);
}
