// IQ4_XS: ggml's bytes and their values, and super-blocks whose scales are exact. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "super.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(
    iq4_xs, {.kind = Kind::kSearched, .values = kIq4, .ggml = GgmlScale::kExtreme, .super = {8, 32, false, 32}})

TEST_CASE("IQ4_XS: codes j and j + 16 of a group in a byte, scales of six bits in two places") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_IQ4_XS);
  Bytes block(136);
  block[0] = 0x00, block[1] = 0x3c;  // d = 1
  block[4] = 0x51;                   // groups 0 and 1: low bits 1 and 5
  block[7] = 0xf0;                   // group 7: 15
  block[2] = 0x03;                   // group 0: high bits 3; group 1: 0
  block[3] = 0x80;                   // group 7: 2
  block[8] = 0x1f;                   // column 0: 113; column 16: -104
  block[24] = 0x08;                  // column 32: 1; column 48: -127
  block[135] = 0x90;                 // column 255: 13
  const std::vector<float> x = valuesOfGgml(NIB_FORMAT_IQ4_XS, block);
  REQUIRE(x.size() == 256);
  CHECK(x[0] == (49 - 32) * 113);
  CHECK(x[16] == (49 - 32) * -104);
  CHECK(x[32] == (5 - 32) * 1);
  CHECK(x[48] == (5 - 32) * -127);
  CHECK(x[255] == (47 - 32) * 13);
}

TEST_CASE("IQ4_XS: the table's values are their codes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_IQ4_XS);
  CHECK(uint32_t(NIB_FORMAT_IQ4_XS) == 25);
  CHECK(nibFormatById(NIB_FORMAT_IQ4_XS)->flags == (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_SUPER_BLOCKS));
  // The scale of every group is 1, which is -32 * d with d = -1/32; the byte of -32 is 0.
  std::vector<float> x(256);
  for (size_t i = 0; i < 256; ++i) x[i] = kIq4[i * 5 % 16];
  const SuperBlob blob = quantizeSuper(NIB_FORMAT_IQ4_XS, x);
  CHECK(blob.nested == Words{0xa800u});
  CHECK(blob.scales == Bytes(8, 0));
  for (size_t i = 0; i < 256; ++i) CHECK(blob.codes[i] == i * 5 % 16);
}
