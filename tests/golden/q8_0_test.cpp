// Q8_0, byte for byte, by ggml's rule: d = absmax / 127, code = x / d rounded half away from zero. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "ggml.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q8_0, {.kind = Kind::kGgml, .ggml = GgmlScale::kAbsmax})

TEST_CASE("Q8_0: absmax is code 127, halves round away from zero") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q8_0);
  CHECK(uint32_t(NIB_FORMAT_Q8_0) == 18);
  // d = 1 (3c00): -127 -> 81; 0.5 -> 1; -0.5 -> ff; 1.5 -> 2; 0.49 -> 0; -2.5 -> -3 = fd; 100.4 -> 64; 0 -> 0.
  const Blob blob = quantizeBlock(NIB_FORMAT_Q8_0, {-127.0f, 0.5f, -0.5f, 1.5f, 0.49f, -2.5f, 100.4f, 0.0f});
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0x3c00, 0});
  CHECK(blob.codeWords() == Words{0x02ff0181u, 0x0064fd00u});
  // Just below a half, where adding one half would round up: 0.49999997.
  CHECK(quantizeBlock(NIB_FORMAT_Q8_0, {127.0f, 0.49999997f, -0.49999997f}).codeWords() == Words{0x0000007fu});
}

TEST_CASE("Q8_0 values are code * scale") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q8_0);
  // d = 0.25 (3400): 127 -> 31.75; -128 -> -32; 0 -> 0; -1 -> -0.25.
  CHECK(dequantize(1, 4, ggml(NIB_FORMAT_Q8_0), {0x7f, 0x80, 0x00, 0xff}, {0x00, 0x34}) ==
        Words{0x41fe0000u, 0xc2000000u, 0x00000000u, 0xbe800000u});
}
