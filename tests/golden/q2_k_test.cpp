// Q2_K: ggml's bytes and their values, and super-blocks whose scales are exact. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "super.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q2_k, {.kind = Kind::kSearched, .ggml = GgmlScale::kRange, .super = {16, 0, false, 15}})

TEST_CASE("Q2_K: two bits of four codes in a byte, scale and minimum in nibbles") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q2_K);
  Bytes block(84);
  block[80] = 0x00, block[81] = 0x3c;  // d = 1
  block[82] = 0x00, block[83] = 0x38;  // dmin = 1/2
  block[0] = 0x21;                     // group 0: scale 1, minimum 2
  block[2] = 0x0f;                     // group 2, columns 32..47: scale 15
  block[15] = 0xf3;                    // group 15: scale 3, minimum 15
  block[16] = 0xe6;                    // codes of columns 0, 32, 64, 96: 2, 1, 2, 3
  block[79] = 0x80;                    // column 255 has code 2
  const std::vector<float> x = valuesOfGgml(NIB_FORMAT_Q2_K, block);
  REQUIRE(x.size() == 256);
  CHECK(x[0] == 2 * 1 - 0.5f * 2);
  CHECK(x[1] == -1.0f);
  CHECK(x[32] == 15.0f);
  CHECK(x[64] == 0.0f);  // its group has scale 0
  CHECK(x[255] == 2 * 3 - 0.5f * 15);
}

TEST_CASE("Q2_K: values 0..3 are their codes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q2_K);
  CHECK(uint32_t(NIB_FORMAT_Q2_K) == 19);
  CHECK(nibFormatById(NIB_FORMAT_Q2_K)->flags ==
        (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MINIMUM | NIB_FORMAT_SUPER_BLOCKS));
  // The scale of every group is 1, so d = 1/15, a half of 1092 * 2^-14, and every byte is 15.
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_Q2_K, repeated({0, 1, 2, 3, 3, 1, 2}));
  CHECK(blob.nested == Words{0x2c44u});
  CHECK(blob.scales == Bytes(16, 15));
  CHECK(blob.zeros == Bytes(16, 0));
  for (size_t i = 0; i < 256; ++i) CHECK(float(blob.codes[i]) == repeated({0, 1, 2, 3, 3, 1, 2})[i]);
}

TEST_CASE("Q2_K: constant negative groups have scale 0 and are their minima") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q2_K);
  // Minima of 15 in the first group and 2 in the others: dmin = 1.
  std::vector<float> x(256, -2.0f);
  for (size_t i = 0; i < 16; ++i) x[i] = -15.0f;
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_Q2_K, x);
  CHECK(blob.nested == Words{0x3c000000u});
  CHECK(blob.scales == Bytes(16, 0));
  Bytes minima(16, 2);
  minima[0] = 15;
  CHECK(blob.zeros == minima);
  CHECK(blob.codes == std::vector<uint32_t>(256, 0));
}
