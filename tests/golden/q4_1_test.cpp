// Q4_1, byte for byte, by ggml's rule: d = (max - min) / 15, code = trunc((x - min) / d + 0.5). Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>

#include "ggml.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q4_1, {.kind = Kind::kGgml, .ggml = GgmlScale::kRange})

TEST_CASE("Q4_1: min is code 0, max is code 15; scale and minimum are halves") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_1);
  CHECK(uint32_t(NIB_FORMAT_Q4_1) == 15);
  CHECK((nibFormatById(NIB_FORMAT_Q4_1)->flags & NIB_FORMAT_MINIMUM) != 0);
  // -1 .. 6.5: d = 0.5 (3800), m = -1 (bc00). 0 -> 2; 0.25 -> 2.5 + 0.5 -> 3 (up); 0.24 -> 2.98 -> 2; 6.5 -> 15.
  const Blob blob = quantizeBlock(NIB_FORMAT_Q4_1, {-1.0f, 0.0f, 0.25f, 0.24f, 6.5f});
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0x3800, 0});
  CHECK(halves(blob.zeros) == std::vector<uint16_t>{0xbc00, 0});
  CHECK(blob.codeWords() == Words{0xf2320u});
}

TEST_CASE("Q4_1 does not extend the range to 0; a constant block equals its minimum") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_1);
  // 10 .. 11.875: d = 0.125 (3000), m = 10 (4900).
  const Blob high = quantizeBlock(NIB_FORMAT_Q4_1, {10.0f, 11.875f, 11.0f});
  CHECK(halves(high.scales) == std::vector<uint16_t>{0x3000, 0});
  CHECK(halves(high.zeros) == std::vector<uint16_t>{0x4900, 0});
  CHECK(high.codeWords() == Words{0x8f0u});
  const Blob constant = quantizeBlock(NIB_FORMAT_Q4_1, {5.0f, 5.0f});
  CHECK(halves(constant.scales) == std::vector<uint16_t>{0, 0});
  CHECK(halves(constant.zeros) == std::vector<uint16_t>{0x4500, 0});
  CHECK(constant.codeWords() == Words{0});
}

TEST_CASE("Q4_1 values are code * scale + minimum") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_1);
  // d = 0.5, m = -1: codes 0, 2, 15: -1, 0, 6.5. With scale 0: the minimum, 5.
  CHECK(dequantize(1, 3, ggml(NIB_FORMAT_Q4_1), {0x20, 0x0f, 0, 0}, {0x00, 0x38}, {0x00, 0xbc}) ==
        Words{0xbf800000u, 0x00000000u, 0x40d00000u});
  CHECK(dequantize(1, 2, ggml(NIB_FORMAT_Q4_1), {0xf0, 0, 0, 0}, {0, 0}, {0x00, 0x45}) ==
        Words{0x40a00000u, 0x40a00000u});
}

TEST_CASE("Q4_1 minimum and scale beyond half saturate and are counted") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_1);
  // -2e6 .. 0: d = 133333, m = -2e6: both too large, so both become 65504: 0 + 65504 is one step; -2e6 is below: 0.
  const Blob blob = quantizeBlock(NIB_FORMAT_Q4_1, {-2e6f, 0.0f});
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0x7bff, 0});
  CHECK(halves(blob.zeros) == std::vector<uint16_t>{0xfbff, 0});
  CHECK(blob.codeWords() == Words{0x10u});
  CHECK(blob.status.saturated_count == 2);
}
