// Q5_1, byte for byte, by ggml's rule: d = (max - min) / 31, code = trunc((x - min) / d + 0.5). Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "ggml.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q5_1, {.kind = Kind::kGgml, .ggml = GgmlScale::kRange})

TEST_CASE("Q5_1: min is code 0, max is code 31") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q5_1);
  CHECK(uint32_t(NIB_FORMAT_Q5_1) == 17);
  // -1 .. 6.75: 31 steps of 0.25 (3400), m = -1 (bc00). 0 -> 4; 0.125 -> 4.5 -> 5; 6.75 -> 31.
  // 0 | 4 << 5 | 5 << 10 | 31 << 15 = 0xf9480.
  const Blob blob = quantizeBlock(NIB_FORMAT_Q5_1, {-1.0f, 0.0f, 0.125f, 6.75f});
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0x3400, 0});
  CHECK(halves(blob.zeros) == std::vector<uint16_t>{0xbc00, 0});
  CHECK(blob.codeWords() == Words{0xf9480u, 0u, 0u, 0u, 0u});
  CHECK(dequantize(1, 4, ggml(NIB_FORMAT_Q5_1), {0x80, 0x94, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                   {0x00, 0x34}, {0x00, 0xbc}) == Words{0xbf800000u, 0x00000000u, 0x3e800000u, 0x40d80000u});
}
