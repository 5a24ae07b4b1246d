// int3, byte for byte: codes + 4, thirty-two in three words as one stream from the lowest bit up. Worked out by hand.
#include <doctest/doctest.h>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kInt3 = NIB_FORMAT_INT3;
}  // namespace

NIB_DEFINE_FORMAT_MODEL(int3, {})

TEST_CASE("int3 has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT3);
  const NibFormatInfo* info = nibFormatById(kInt3);
  CHECK(uint32_t(NIB_FORMAT_INT3) == 6);
  CHECK(info->bits == 3);
  CHECK(info->group_multiple == 32);
}

TEST_CASE("int3 codes 0..7 four times over are the stream 88c6fa 88c6fa 88c6fa 88c6fa") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT3);
  // s = 3.5 / 3.5 = 1. -4, -3, .. 3 are codes 0..7. The absmax must be 3.5, so -3.5 (ties to -4) gives code 0 and 3.5
  // (ties to 4, saturates at 3) code 7.
  // Codes 0..7 in three bits each, the first lowest: 7 6 5 4 3 2 1 0 = 111 110 101 100 011 010 001 000 = 0xfac688.
  // Four of those 24 bits in three words: 88 | fac6 88: words 0x88fac688, 0xc688fac6, 0xfac688fa.
  std::vector<float> x;
  for (int i = 0; i < 32; ++i) x.push_back(i % 8 == 0 ? -3.5f : i % 8 == 7 ? 3.5f : float(i % 8 - 4));
  const Blob blob = quantize(1, 32, weights(kInt3, NIB_GRANULARITY_ROW, 0), x);
  CHECK(blob.codeWords() == Words{0x88fac688u, 0xc688fac6u, 0xfac688fau});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  // Dequantized: codes 0..7 are -4..3.
  Words wanted;
  for (int i = 0; i < 4; ++i) {
    for (const uint32_t bits :
         {0xc0800000u, 0xc0400000u, 0xc0000000u, 0xbf800000u, 0u, 0x3f800000u, 0x40000000u, 0x40400000u}) {
      wanted.push_back(bits);
    }
  }
  CHECK(dequantize(1, 32, weights(kInt3, NIB_GRANULARITY_ROW, 0), blob.codes, {0, 0, 0x80, 0x3f}) == wanted);
}

TEST_CASE("int3 codes 10 and 21 span two words") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT3);
  // All are -3.5 (code 0) except one 3.5 (code 7 = 111). Code 10: bits 30, 31 of word 0 and bit 0 of word 1. Code 21:
  // bits 63..65: bit 31 of word 1 and bits 0, 1 of word 2.
  std::vector<float> x(32, -3.5f);
  x[10] = 3.5f;
  CHECK(quantize(1, 32, weights(kInt3, NIB_GRANULARITY_ROW, 0), x).codeWords() == Words{0xc0000000u, 1u, 0u});
  x[10] = -3.5f;
  x[21] = 3.5f;
  CHECK(quantize(1, 32, weights(kInt3, NIB_GRANULARITY_ROW, 0), x).codeWords() == Words{0u, 0x80000000u, 3u});
}

TEST_CASE("int3 rows are padded with 0 to a multiple of 32 codes") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT3);
  // Two rows of one element: code 7 and code 0; three words each.
  const Blob blob = quantize(2, 1, weights(kInt3, NIB_GRANULARITY_TENSOR, 0), {3.5f, -3.5f});
  CHECK(blob.codeWords() == Words{7u, 0u, 0u, 0u, 0u, 0u});
  // 33 elements: six words, the 33rd code alone in the fourth.
  std::vector<float> x(33, 0.0f);
  x[32] = 3.5f;
  // Code 4 = 100: 32 of them are 0x24924924, 0x49249249, 0x92492492.
  CHECK(quantize(1, 33, weights(kInt3, NIB_GRANULARITY_ROW, 0), x).codeWords() ==
        Words{0x24924924u, 0x49249249u, 0x92492492u, 7u, 0u, 0u});
}

TEST_CASE("int3 asymmetric: zero point in 0..7") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT3);
  // -1..2.5: range 3.5 in 7 steps of 1/2: z = 2. Codes 0, 2, 7, 3: 0 | 2<<3 | 7<<6 | 3<<9 = 0x7d0.
  const Blob blob =
      quantize(1, 4, weights(kInt3, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC), {-1.0f, 0.0f, 2.5f, 0.5f});
  CHECK(blob.codeWords() == Words{0x7d0u, 0u, 0u});
  CHECK(blob.scaleWords() == Words{0x3f000000u});
  CHECK(blob.zeros == Bytes{2, 0, 0, 0});
}
