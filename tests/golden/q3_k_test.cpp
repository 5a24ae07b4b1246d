// Q3_K: ggml's bytes and their values, and super-blocks whose scales are exact. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "super.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q3_k, {.kind = Kind::kSearched, .ggml = GgmlScale::kExtreme, .super = {16, 32, false, 32}})

TEST_CASE("Q3_K: the third bits in a mask, scales of six bits in three places") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q3_K);
  Bytes block(110);
  block[108] = 0x00, block[109] = 0x3c;  // d = 1
  block[96] = 0x10;                      // group 0: low bits 0; group 8: low bits 1
  block[104] = 0x03;                     // group 0: high bits 3; groups 4, 8 and 12: 0
  block[0] = 0x11;                       // columns 0 and 128 have their third bit
  block[32] = 0x02;                      // column 0: low bits 2
  block[64] = 0x01;                      // column 128: low bits 1
  const std::vector<float> x = valuesOfGgml(NIB_FORMAT_Q3_K, block);
  REQUIRE(x.size() == 256);
  CHECK(x[0] == (48 - 32) * (6 - 4));
  CHECK(x[1] == (48 - 32) * (0 - 4));
  CHECK(x[128] == (1 - 32) * (5 - 4));
  CHECK(x[129] == (1 - 32) * (0 - 4));
  CHECK(x[16] == (0 - 32) * (0 - 4));
}

TEST_CASE("Q3_K: values -4..3 are their codes less 4") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q3_K);
  CHECK(uint32_t(NIB_FORMAT_Q3_K) == 20);
  CHECK(nibFormatById(NIB_FORMAT_Q3_K)->flags == (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_SUPER_BLOCKS));
  // The scale of every group is 1, which is -32 * d with d = -1/32; the byte of -32 is 0.
  const std::vector<float> x = repeated({-4, 3, 0, 1, -3, 2, -1, -2});
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_Q3_K, x);
  CHECK(blob.nested == Words{0xa800u});
  CHECK(blob.scales == Bytes(16, 0));
  for (size_t i = 0; i < 256; ++i) CHECK(float(blob.codes[i]) == x[i] + 4);
  // Positive numbers far from 0: the scale is -1.
  const SuperBlob turned = quantizeSuper(NIB_FORMAT_Q3_K, repeated({4, -3, 0, -1, 3, -2, 1, 2}));
  CHECK(turned.nested == Words{0x2800u});
  CHECK(turned.codes == blob.codes);
}
