// Q4_K: ggml's bytes and their values, and super-blocks whose scales are exact. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "super.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q4_k, {.kind = Kind::kSearched, .ggml = GgmlScale::kRange, .super = {8, 0, false, 63}})

TEST_CASE("Q4_K: codes of 32 and the next 32 columns in one byte, scales and minima of six bits") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_K);
  Bytes block(144);
  block[0] = 0x00, block[1] = 0x3c;  // d = 1
  block[2] = 0x00, block[3] = 0x38;  // dmin = 1/2
  // Group 0: scale 1, minimum 2. Group 4: scale 33 = 1 + 2 * 16, minimum 17 = 1 + 1 * 16. Group 1: scale 5.
  block[4] = 0x01 | 2 << 6;
  block[5] = 0x05;
  block[8] = 0x02 | 1 << 6;
  block[12] = 0x01 | 1 << 4;
  block[16] = 0x7a;       // column 0: 10; column 32: 7
  block[16 + 64] = 0x03;  // column 128: 3
  const std::vector<float> x = valuesOfGgml(NIB_FORMAT_Q4_K, block);
  REQUIRE(x.size() == 256);
  CHECK(x[0] == (10) * 1 - 0.5f * 2);
  CHECK(x[1] == -1.0f);
  CHECK(x[32] == 7 * 5);
  CHECK(x[33] == 0.0f);
  CHECK(x[128] == (3) * 33 - 0.5f * 17);
  CHECK(x[129] == -0.5f * 17);
}

TEST_CASE("Q4_K: values 0..15 are their codes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_K);
  CHECK(uint32_t(NIB_FORMAT_Q4_K) == 21);
  CHECK(nibFormatById(NIB_FORMAT_Q4_K)->flags ==
        (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MINIMUM | NIB_FORMAT_SUPER_BLOCKS));
  // The scale of every group is 1, so d = 1/63, a half of 1040 * 2^-16, and every byte is 63.
  std::vector<float> x(256);
  for (size_t i = 0; i < 256; ++i) x[i] = float(i * 7 % 16);
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_Q4_K, x);
  CHECK(blob.nested == Words{0x2410u});
  CHECK(blob.scales == Bytes(8, 63));
  CHECK(blob.zeros == Bytes(8, 0));
  for (size_t i = 0; i < 256; ++i) CHECK(float(blob.codes[i]) == x[i]);
  // Importance changes the search, but no code: the first candidate has no error.
  const SuperBlob weighed = quantizeSuper(NIB_FORMAT_Q4_K, x, repeated({1, 2, 0, 5}));
  CHECK(weighed.codes == blob.codes);
}

TEST_CASE("Q4_K: zeros, and a number that is not finite") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_K);
  const SuperBlob nothing = quantizeSuper(NIB_FORMAT_Q4_K, std::vector<float>(256, -0.0f));
  CHECK(nothing.nested == Words{0});
  CHECK(nothing.scales == Bytes(8, 0));
  CHECK(nothing.zeros == Bytes(8, 0));
  CHECK(nothing.codes == std::vector<uint32_t>(256, 0));
  // Its group is zeros, the others are as without it.
  std::vector<float> x(256);
  for (size_t i = 0; i < 256; ++i) x[i] = float(i * 7 % 16);
  x[70] = INFINITY;
  const SuperBlob one = quantizeSuper(NIB_FORMAT_Q4_K, x);
  CHECK(one.nested == Words{0x2410u});
  CHECK(one.status.nonfinite_count == 1);
  CHECK(one.status.first_nonfinite_not == ~70u);
  CHECK(one.scales == Bytes{63, 63, 0, 63, 63, 63, 63, 63});
  for (size_t i = 0; i < 256; ++i) CHECK(float(one.codes[i]) == (i / 32 == 2 ? 0.0f : x[i]));
}

TEST_CASE("Q4_K: a row's last super-block is padded with zeros") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_K);
  std::vector<float> x(300);
  for (size_t i = 0; i < 300; ++i) x[i] = float(i * 7 % 16);
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_Q4_K, x);
  CHECK(blob.nested == Words{0x2410u, 0x2410u});
  Bytes scales(16, 0);
  std::fill(scales.begin(), scales.begin() + 10, uint8_t(63));
  CHECK(blob.scales == scales);
  for (size_t i = 0; i < 300; ++i) CHECK(float(blob.codes[i]) == x[i]);
}

TEST_CASE("Q4_K: d and dmin beyond half saturate and are counted") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_K);
  std::vector<float> x(256);
  for (size_t i = 0; i < 256; ++i) x[i] = i % 2 == 0 ? -1e9f : 1e9f;
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_Q4_K, x);
  CHECK(blob.nested == Words{0x7bff7bffu});
  CHECK(blob.status.saturated_count == 2);
}
