// IQ4_NL: ggml's bytes and their values, and blocks whose scale is exact. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "super.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(iq4_nl, {.kind = Kind::kSearched, .values = kIq4, .ggml = GgmlScale::kExtreme})

TEST_CASE("IQ4_NL: codes j and j + 16 in a byte") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_IQ4_NL);
  Bytes block(18);
  block[0] = 0x00, block[1] = 0xc0;  // d = -2
  block[2] = 0x1f;                   // column 0: 113; column 16: -104
  block[17] = 0x80;                  // column 15: -127; column 31: 1
  const std::vector<float> x = valuesOfGgml(NIB_FORMAT_IQ4_NL, block, 32);
  REQUIRE(x.size() == 32);
  CHECK(x[0] == -226.0f);
  CHECK(x[16] == 208.0f);
  CHECK(x[15] == 254.0f);
  CHECK(x[31] == -2.0f);
}

TEST_CASE("IQ4_NL: the table's values are their codes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_IQ4_NL);
  CHECK(uint32_t(NIB_FORMAT_IQ4_NL) == 24);
  CHECK(nibFormatById(NIB_FORMAT_IQ4_NL)->flags == NIB_FORMAT_OWN_SCALES);
  std::vector<float> x(32);
  for (size_t i = 0; i < 32; ++i) x[i] = kIq4[i * 5 % 16];
  for (const std::vector<float>& importance : {std::vector<float>(), repeated({1, 0, 4}, 32)}) {
    const SuperBlob blob = quantizeSuper(NIB_FORMAT_IQ4_NL, x, importance);
    CHECK(blob.scales == Bytes{0x00, 0x3c, 0, 0});  // 1
    for (size_t i = 0; i < 32; ++i) CHECK(blob.codes[i] == i * 5 % 16);
  }
  // Zeros: scale 0 and the code nearest to 0.
  const SuperBlob nothing = quantizeSuper(NIB_FORMAT_IQ4_NL, std::vector<float>(32));
  CHECK(nothing.scales == Bytes(4, 0));
  CHECK(nothing.codes == std::vector<uint32_t>(32, 8));
}
