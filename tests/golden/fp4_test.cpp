// FP4 of bitsandbytes, byte for byte, from its published magnitudes and thresholds. bitsandbytes' own storage puts the
// first element in the HIGH nibble: that is a packed layout, not this canonical one.
#include <doctest/doctest.h>

#include <cmath>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kFp4 = NIB_FORMAT_FP4;
const NibWeights kRow = weights(kFp4, NIB_GRANULARITY_ROW, 0);
const Bytes kOne{0x00, 0x00, 0x80, 0x3f};  // 1.0f

// bitsandbytes' magnitudes by the low three bits of a code, in twelfths; its thresholds, and the codes in ascending
// order of magnitude.
constexpr float kMagnitudes[8] = {float(0 / 12.0), float(0.0625 / 12.0), float(8 / 12.0), float(12 / 12.0),
                                  float(4 / 12.0), float(6 / 12.0),      float(2 / 12.0), float(3 / 12.0)};
constexpr float kThresholds[7] = {0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.4166667f, 0.583333f, 0.8333333f};
constexpr uint32_t kAscending[8] = {0, 1, 6, 7, 4, 5, 2, 3};
}  // namespace

NIB_DEFINE_FORMAT_MODEL(
    fp4, {.kind = Kind::kSignedCodebook, .values = kMagnitudes, .thresholds = kThresholds, .ascending = kAscending})

TEST_CASE("FP4 has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP4);
  CHECK(uint32_t(NIB_FORMAT_FP4) == 10);
  CHECK(nibFormatById(kFp4)->bits == 4);
  CHECK(nibFormatById(kFp4)->default_group_size == 64);
  CHECK(nibFormatById(kFp4)->weights_flags == (NIB_WEIGHTS_FLAT | NIB_WEIGHTS_NESTED));
}

TEST_CASE("FP4 codes 0..15 of absmax 1 are 0, 1/192, 2/3, 1, 1/3, 1/2, 1/6, 1/4 and their negatives") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP4);
  // 1/192 = 1.3333334 * 2^-8: 0.3333334 * 2^23 = 0x2aaaab, exponent 119: 3baaaaab. 1/3 = 1.3333334 * 2^-2: 3eaaaaab.
  const Bytes all{0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};
  CHECK(dequantize(1, 16, kRow, all, kOne) ==
        Words{0x00000000u, 0x3baaaaabu, 0x3f2aaaabu, 0x3f800000u, 0x3eaaaaabu, 0x3f000000u, 0x3e2aaaabu, 0x3e800000u,
              0x80000000u, 0xbbaaaaabu, 0xbf2aaaabu, 0xbf800000u, 0xbeaaaaabu, 0xbf000000u, 0xbe2aaaabu, 0xbe800000u});
  const float twelfths[8] = {0.0f, 0.0625f, 8.0f, 12.0f, 4.0f, 6.0f, 2.0f, 3.0f};
  const Words values = dequantize(1, 16, kRow, all, kOne);
  for (size_t code = 0; code < 8; ++code) {
    float value;
    std::memcpy(&value, &values[code], sizeof value);
    CHECK(value == float(double(twelfths[code]) / 12.0));
  }
}

TEST_CASE("FP4 magnitudes get their own codes, and negative values have bit 3") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP4);
  const std::vector<float> x{
      0.0f,  0.0625f / 12.0f,  8.0f / 12.0f,  1.0f,  4.0f / 12.0f,  0.5f,  2.0f / 12.0f,  0.25f,
      -0.0f, -0.0625f / 12.0f, -8.0f / 12.0f, -1.0f, -4.0f / 12.0f, -0.5f, -2.0f / 12.0f, -0.25f};
  // -0 is not below 0: code 0.
  CHECK(quantize(1, 16, kRow, x).codeWords() == Words{0x76543210u, 0xfedcba90u});
}

TEST_CASE("FP4 thresholds are bitsandbytes' literals and round to the lower magnitude") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP4);
  const float thresholds[7] = {0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f, 0.4166667f, 0.583333f, 0.8333333f};
  std::vector<float> on(thresholds, thresholds + 7), above = on;
  for (float& v : above) v = std::nextafter(v, 2.0f);
  // In ascending order the magnitudes' codes are 0 1 6 7 4 5 2 3.
  CHECK(quantize(1, 7, kRow, NIB_TYPE_F32, on, kOne).codeWords() == Words{0x2547610u});
  CHECK(quantize(1, 7, kRow, NIB_TYPE_F32, above, kOne).codeWords() == Words{0x3254761u});
  for (float& v : above) v = -v;
  CHECK(quantize(1, 7, kRow, NIB_TYPE_F32, above, kOne).codeWords() == Words{0xbadcfe9u});
}

TEST_CASE("FP4 zero groups are code 0, small negative values -0, large values saturate") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP4);
  CHECK(quantize(1, 4, kRow, {0.0f, -0.0f, 0.0f, 0.0f}).codeWords() == Words{0});
  CHECK(quantize(1, 3, kRow, {1.0f, -0.001f, 0.001f}).codeWords() == Words{0x083u});
  CHECK(quantize(1, 4, kRow, NIB_TYPE_F32, std::vector<float>{3e38f, -3e38f, NAN, 5.0f}, kOne).codeWords() ==
        Words{0x30b3u});
}

TEST_CASE("FP4 values that would be denormal are 0, at the smallest scale") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_FP4);
  // 2^-120 / 192 < 2^-126: zero, with its sign; 2^-120 / 6 = 1.3333334 * 2^-123: 022aaaab.
  CHECK(dequantize(1, 3, kRow, {0x91, 0x06, 0, 0}, {0x00, 0x00, 0x80, 0x03}) ==
        Words{0x00000000u, 0x80000000u, 0x022aaaabu});
}
