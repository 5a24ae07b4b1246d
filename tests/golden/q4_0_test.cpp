// Q4_0, byte for byte, by ggml's rule: d = m / -8, m the first element of the largest magnitude;
// code = trunc(x / d + 8.5), at most 15. Worked out by hand. The canonical layout stores the codes in order; ggml's
// bytes pair code j with code j + 16.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>

#include "ggml.h"

using namespace nib::golden;

NIB_DEFINE_FORMAT_MODEL(q4_0, {.kind = Kind::kGgml, .ggml = GgmlScale::kExtreme})

TEST_CASE("Q4_0: the element of the largest magnitude has code 0 and the opposite sign of the scale") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_0);
  CHECK(uint32_t(NIB_FORMAT_Q4_0) == 14);
  // m = 8: d = -1 (bc00). 8 -> -8 + 8.5 = 0.5 -> 0; -7 -> 7 + 8.5 -> 15; -8 would be 16: 15; 0 -> 8; 1 -> 7; 0.5 ->
  // -0.5 + 8.5 = 8.
  const Blob blob = quantizeBlock(NIB_FORMAT_Q4_0, {8.0f, -7.0f, -8.0f, 0.0f, 1.0f, 0.5f, -0.5f, -0.49f});
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0xbc00, 0});
  // -0.5: 0.5 + 8.5 = 9; -0.49: 8.99 -> 8.
  CHECK(blob.codeWords() == Words{0x89878ff0u});
  // The same with the other sign: m = -8, d = 1 (3c00); m is the first of equal magnitudes.
  const Blob other = quantizeBlock(NIB_FORMAT_Q4_0, {-8.0f, 8.0f, 7.0f, 0.0f, -1.0f, 0.5f, -0.5f, 0.49f});
  CHECK(halves(other.scales) == std::vector<uint16_t>{0x3c00, 0});
  // 0.5 -> 9 and -0.5 -> 8: halves round up.
  CHECK(other.codeWords() == Words{0x88978ff0u});
}

TEST_CASE("Q4_0 codes use the scale before its rounding to half") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_0);
  // m = -8 - 2^-8: d = 1 + 2^-11, a tie between the halves 1 and 1 + 2^-10: 3c00. With that d, 1.50036 / d = 1.49963:
  // 9.99963 -> 9; with the half, 10.00036 -> 10.
  const Blob blob = quantizeBlock(NIB_FORMAT_Q4_0, {-8.00390625f, 1.50036f});
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0x3c00, 0});
  CHECK(blob.codeWords() == Words{0x90u});
}

TEST_CASE("Q4_0 values are (code - 8) * scale, zeros without a sign") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_0);
  // d = -0.5 (b800): codes 0, 8, 15: 4, 0, -3.5.
  CHECK(dequantize(1, 3, ggml(NIB_FORMAT_Q4_0), {0x80, 0x0f, 0, 0}, {0x00, 0xb8}) ==
        Words{0x40800000u, 0x00000000u, 0xc0600000u});
  // A non-finite scale gives zeros.
  CHECK(dequantize(1, 2, ggml(NIB_FORMAT_Q4_0), {0xf0, 0, 0, 0}, {0x00, 0x7c}) == Words{0u, 0u});
}

TEST_CASE("Q4_0 blocks of 32, zero blocks, blocks with NaN, and scales beyond half") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_Q4_0);
  std::vector<float> x(65, 0.0f);
  x[31] = -4.0f;  // d = 0.5 = 3800
  x[33] = NAN;    // block 1: zero
  x[64] = 1e6f;   // d = -125000: -65504 = fbff; 1e6 / -65504 = -15.27: below code 0
  const Blob blob = quantizeBlock(NIB_FORMAT_Q4_0, x);
  CHECK(halves(blob.scales) == std::vector<uint16_t>{0x3800, 0x0000, 0xfbff, 0x0000});
  CHECK(blob.codeWords() == Words{0x88888888u, 0x88888888u, 0x88888888u, 0x08888888u, 0x88888888u, 0x88888888u,
                                  0x88888888u, 0x88888888u, 0x0u});
  CHECK(blob.status.nonfinite_count == 1);
  CHECK(blob.status.saturated_count == 1);
  // 2^-22 / -8 = -2^-25 ties to the half 0: zero block.
  const Blob tiny = quantizeBlock(NIB_FORMAT_Q4_0, {0x1p-22f, -0x1p-23f});
  CHECK(halves(tiny.scales) == std::vector<uint16_t>{0, 0});
  CHECK(tiny.codeWords() == Words{0x88u});
}
