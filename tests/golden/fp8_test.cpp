// FP8 E4M3FN, byte for byte: sign, four bits of exponent with bias 7, three of mantissa. Codes worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kFp8 = NIB_FORMAT_FP8;
const NibWeights kRow = weights(kFp8, NIB_GRANULARITY_ROW, 0);
const Bytes kOne{0x00, 0x00, 0x80, 0x3f};  // 1.0f

Words codesOf(const std::vector<float>& x) {
  return quantize(1, uint32_t(x.size()), kRow, NIB_TYPE_F32, x, kOne).codeWords();
}
}  // namespace

NIB_DEFINE_FORMAT_MODEL(fp8, {.kind = Kind::kFloat, .small = {.mantissa_bits = 3, .bias = 7, .last = 0x7e}})

TEST_CASE("FP8 E4M3 has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8);
  CHECK(uint32_t(NIB_FORMAT_FP8) == 11);
  CHECK(nibFormatById(kFp8)->bits == 8);
  CHECK(nibFormatById(kFp8)->default_group_size == 0);
}

TEST_CASE("FP8 E4M3 normal, largest and smallest codes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8);
  // 1 = 2^0: exponent 7: 0111 000 = 38. 448 = 1.75 * 2^8: 1111 110 = 7e. -2: 1 1000 000 = c0. 1.875: 0111 111 = 3f.
  CHECK(codesOf({1.0f, 448.0f, -2.0f, 1.875f}) == Words{0x3fc07e38u});
  // 2^-6, the smallest normal: 08. 2^-9, the smallest of all: 01. 7 * 2^-9: 07. -2^-9: 81.
  CHECK(codesOf({0x1p-6f, 0x1p-9f, 0x7p-9f, -0x1p-9f}) == Words{0x81070108u});
}

TEST_CASE("FP8 E4M3 rounds to nearest, ties to even, and saturates") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8);
  // 1.0625 is between 1 (38, even) and 1.125 (39): 38. 1.1875 between 39 and 1.25 (3a): 3a. A little more or
  // less: 39.
  CHECK(codesOf({1.0625f, 1.1875f, 1.06251f, 1.18749f}) == Words{0x39393a38u});
  // 464 is between 448 and the missing 480: 7e, like all larger values. 432 is between 416 (7d) and 448 (7e, even).
  CHECK(codesOf({464.0f, 1e30f, -1e30f, 432.0f}) == Words{0x7efe7e7eu});
  // 2^-10 ties to 0, a little more is 2^-9; 1.5 * 2^-9 ties to 2 * 2^-9; 7.5 * 2^-9 ties to 2^-6.
  CHECK(codesOf({0x1p-10f, 0x1.01p-10f, 0x1.8p-9f, 0xfp-10f}) == Words{0x08020100u});
}

TEST_CASE("FP8 E4M3 keeps the sign of zeros and of values that round to 0, except in zero groups") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8);
  CHECK(codesOf({-0.0f, 0.0f, -1e-5f, 1e-5f}) == Words{0x00800080u});
  CHECK(quantize(1, 4, kRow, {-0.0f, 0.0f, -0.0f, 0.0f}).codeWords() == Words{0});
  CHECK(quantize(1, 4, kRow, {-1.0f, NAN, -0.0f, 1.0f}).codeWords() == Words{0});
}

TEST_CASE("FP8 E4M3 scales are absmax / 448") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8);
  // absmax 896: s = 2 = 40000000. 896 -> 448: 7e; -2 -> -1: b8; 3 -> 1.5: 0111 100 = 3c; 0 -> 0.
  const Blob blob = quantize(1, 4, kRow, {896.0f, -2.0f, 3.0f, 0.0f});
  CHECK(blob.scaleWords() == Words{0x40000000u});
  CHECK(blob.codeWords() == Words{0x003cb87eu});
  // absmax 1: 1/448 = 1.1428572 * 2^-9: 0.1428572 * 2^23 = 1198373 = 0x124925, exponent 118 = 0x3b000000: 3b124925.
  CHECK(quantize(1, 1, kRow, {1.0f}).scaleWords() == Words{0x3b124925u});
}

TEST_CASE("FP8 E4M3 values: normal, denormal, largest, and NaN stays NaN") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8);
  // 38: 1; 7e: 448 = 43e00000; 01: 2^-9 = 3b000000; 87: -7 * 2^-9 = -1.75 * 2^-7 = bc600000; 7f, ff: NaN.
  CHECK(dequantize(1, 6, kRow, {0x38, 0x7e, 0x01, 0x87, 0x7f, 0xff, 0, 0}, kOne) ==
        Words{0x3f800000u, 0x43e00000u, 0x3b000000u, 0xbc600000u, 0x7fc00000u, 0xffc00000u});
  // Scale 2^-120: 448 * 2^-120 = 1.75 * 2^-112: exponent 15: 07e00000. 2^-6 * 2^-120 = 2^-126: 00800000. 7 * 2^-9 is
  // less: 0.
  CHECK(dequantize(1, 4, kRow, {0x7e, 0x08, 0x07, 0x87}, {0x00, 0x00, 0x80, 0x03}) ==
        Words{0x07e00000u, 0x00800000u, 0x00000000u, 0x80000000u});
  // Scale 2^125: 4 * 2^125 = 2^127 (7f000000); 8 * 2^125 is beyond fp32: its largest number.
  CHECK(dequantize(1, 3, kRow, {0x48, 0x50, 0xd0, 0}, {0x00, 0x00, 0x00, 0x7e}) ==
        Words{0x7f000000u, 0x7f7fffffu, 0xff7fffffu});
}
