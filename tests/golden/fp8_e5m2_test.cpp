// FP8 E5M2, byte for byte: the upper byte of a half. Codes worked out by hand.
#include <doctest/doctest.h>

#include <cmath>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kE5m2 = NIB_FORMAT_FP8_E5M2;
const NibWeights kRow = weights(kE5m2, NIB_GRANULARITY_ROW, 0);
const Bytes kOne{0x00, 0x00, 0x80, 0x3f};  // 1.0f

Words codesOf(const std::vector<float>& x) {
  return quantize(1, uint32_t(x.size()), kRow, NIB_TYPE_F32, x, kOne).codeWords();
}
}  // namespace

NIB_DEFINE_FORMAT_MODEL(fp8_e5m2, {.kind = Kind::kFloat, .small = {.mantissa_bits = 2, .bias = 15, .last = 0x7b}})

TEST_CASE("FP8 E5M2 normal, largest and smallest codes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8_E5M2);
  CHECK(uint32_t(NIB_FORMAT_FP8_E5M2) == 12);
  // 1: 01111 00 = 3c. 57344 = 1.75 * 2^15: 11110 11 = 7b. -1.5: 1 01111 10 = be. 2^-14: 04.
  CHECK(codesOf({1.0f, 57344.0f, -1.5f, 0x1p-14f}) == Words{0x04be7b3cu});
  // Denormals: 2^-16 = 01, 3 * 2^-16 = 03; 2^-17 ties to 0; 1.5 * 2^-16 ties to 02.
  CHECK(codesOf({0x1p-16f, 0x3p-16f, 0x1p-17f, 0x1.8p-16f}) == Words{0x02000301u});
}

TEST_CASE("FP8 E5M2 rounds to nearest, ties to even, and saturates") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8_E5M2);
  // 1.125 is between 1 (3c) and 1.25 (3d): 3c; 1.375 between 3d and 1.5 (3e): 3e. 61440, 1e30: 7b; -1e30: fb.
  CHECK(codesOf({1.125f, 1.375f, 61440.0f, -1e30f}) == Words{0xfb7b3e3cu});
  CHECK(codesOf({1.12501f, 1.37499f, 1e30f, -0.0f}) == Words{0x807b3d3du});
}

TEST_CASE("FP8 E5M2 scales are absmax / 57344") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8_E5M2);
  // absmax 114688: s = 2. 3 / 2 = 1.5: 3e.
  const Blob blob = quantize(1, 3, kRow, {114688.0f, 3.0f, -2.0f});
  CHECK(blob.scaleWords() == Words{0x40000000u});
  CHECK(blob.codeWords() == Words{0x00bc3e7bu});
}

TEST_CASE("FP8 E5M2 values: normal, denormal, infinite and NaN") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP8_E5M2);
  // 7b: 57344 = 47600000; 01: 2^-16 = 37800000; 83: -3 * 2^-16 = -1.5 * 2^-15 = b8400000; 7c, fc: infinite; 7d, fe:
  // NaN.
  CHECK(dequantize(1, 8, kRow, {0x3c, 0x7b, 0x01, 0x83, 0x7c, 0xfc, 0x7d, 0xfe}, kOne) ==
        Words{0x3f800000u, 0x47600000u, 0x37800000u, 0xb8400000u, 0x7f800000u, 0xff800000u, 0x7fc00000u, 0xffc00000u});
  // Scale 2^-112: 2^-14 * 2^-112 = 2^-126 is normal; 3 * 2^-16 * 2^-112 is less: 0.
  CHECK(dequantize(1, 2, kRow, {0x04, 0x03, 0, 0}, {0x00, 0x00, 0x80, 0x07}) == Words{0x00800000u, 0u});
}
