// Q6_K: ggml's bytes and their values, and super-blocks whose scales are exact. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "super.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q6_k, {.kind = Kind::kSearched, .ggml = GgmlScale::kExtreme, .super = {16, 0, true, 128}})

TEST_CASE("Q6_K: four bits of two codes in a byte, two bits of four, signed scales") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q6_K);
  Bytes block(210);
  block[208] = 0x00, block[209] = 0x3c;  // d = 1
  block[192] = 3;                        // group 0
  block[194] = 0xfe;                     // group 2, columns 32..47: -2
  block[196] = 1;                        // group 4, columns 64..79
  block[207] = 0x80;                     // group 15: -128
  block[0] = 0x5a;                       // column 0: 10; column 64: 5
  block[32] = 0x07;                      // column 32: 7
  block[128] = 0x39;                     // high bits of columns 0, 32, 64, 96: 1, 2, 3, 0
  block[127] = 0xf0;                     // column 255: 15
  block[191] = 0xc0;                     // and 3
  const std::vector<float> x = valuesOfGgml(NIB_FORMAT_Q6_K, block);
  REQUIRE(x.size() == 256);
  CHECK(x[0] == 3 * (10 + 16 - 32));
  CHECK(x[1] == 3 * -32);
  CHECK(x[32] == -2 * (7 + 32 - 32));
  CHECK(x[64] == 1 * (5 + 48 - 32));
  CHECK(x[96] == 0.0f);
  CHECK(x[255] == -128 * (15 + 48 - 32));
}

TEST_CASE("Q6_K: values -32..31 are their codes less 32") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q6_K);
  CHECK(uint32_t(NIB_FORMAT_Q6_K) == 23);
  CHECK(nibFormatById(NIB_FORMAT_Q6_K)->flags == (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_SUPER_BLOCKS));
  // The scale of every group is 1, which is -128 * d with d = -1/128.
  const std::vector<float> x = repeated({-32, 31, 0, 1, -30, 12, -1, -17, 5, 29, -28, 3, 7, -9, 22, -31});
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_Q6_K, x);
  CHECK(blob.nested == Words{0xa000u});
  CHECK(blob.scales == Bytes(16, 0x80));
  for (size_t i = 0; i < 256; ++i) CHECK(float(blob.codes[i]) == x[i] + 32);
}
