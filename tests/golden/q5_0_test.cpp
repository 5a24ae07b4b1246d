// Q5_0, byte for byte, by ggml's rule: d = m / -16, code = trunc(x / d + 16.5), at most 31. Worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include "ggml.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q5_0, {.kind = Kind::kGgml, .ggml = GgmlScale::kExtreme})

TEST_CASE("Q5_0: 32 codes in five words, the first in the low bits") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q5_0);
  CHECK(uint32_t(NIB_FORMAT_Q5_0) == 16);
  CHECK(nibFormatById(NIB_FORMAT_Q5_0)->bits == 5);
  // -16, -15, .. 15: d = 1 (3c00), codes 0..31.
  std::vector<float> x;
  for (int i = 0; i < 32; ++i) x.push_back(float(i - 16));
  const Blob blob = quantizeBlock(NIB_FORMAT_Q5_0, x);
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0x3c00, 0});
  // Code i is at bit 5 i. Eight codes are five bytes. Codes 0..7: the sum of i << 5 i = 0x398a418820, bytes 20 88 41 8a
  // 39. Each further eight have 8 more in every code, 8 of these in every code being 0x4210842108, without carries:
  // 8..15: 28 a9 c5 9a 7b; 16..23: 30 ca 49 ab bd; 24..31: 38 eb cd bb ff.
  const Bytes wanted{0x20, 0x88, 0x41, 0x8a, 0x39, 0x28, 0xa9, 0xc5, 0x9a, 0x7b,
                     0x30, 0xca, 0x49, 0xab, 0xbd, 0x38, 0xeb, 0xcd, 0xbb, 0xff};
  CHECK(blob.codes == wanted);
  // Dequantized again.
  const Words values = dequantize(1, 32, ggml(NIB_FORMAT_Q5_0), wanted, {0x00, 0x3c});
  for (size_t i = 0; i < 32; ++i) {
    float value;
    std::memcpy(&value, &values[i], 4);
    CHECK(value == float(i) - 16.0f);
  }
}

TEST_CASE("Q5_0: a positive m gives a negative scale, and code 32 saturates at 31") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q5_0);
  // m = 8: d = -0.5 (b800). 8 -> 0; -8 -> 32, at most 31; 0 -> 16; 0.25 -> -0.5 + 16.5 = 16.
  // 0 | 31 << 5 | 16 << 10 | 16 << 15 = 0x843e0.
  const Blob blob = quantizeBlock(NIB_FORMAT_Q5_0, {8.0f, -8.0f, 0.0f, 0.25f});
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0xb800, 0});
  CHECK(blob.codeWords() == Words{0x843e0u, 0u, 0u, 0u, 0u});
}
