// int4, byte for byte, each number derived by hand. Stored nibble = code + 8, the first element in the low nibble.
#include <doctest/doctest.h>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kInt4 = NIB_FORMAT_INT4;
const NibWeights kRow = weights(kInt4, NIB_GRANULARITY_ROW, 0);
const Bytes kOne{0x00, 0x00, 0x80, 0x3f};  // 1.0f
}  // namespace

NIB_DEFINE_FORMAT_MODEL(int4, {})

TEST_CASE("int4 codes -8..7 pack to 0x76543210 0xfedcba98") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  std::vector<float> x;
  for (int code = -8; code <= 7; ++code) x.push_back(float(code));
  CHECK(quantize(1, 16, kRow, NIB_TYPE_F32, x, kOne).codeWords() == Words{0x76543210u, 0xfedcba98u});
}

TEST_CASE("int4 full range: scale absmax/7.5, ties to even") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // absmax 7.5: s = 1, r = 1.
  const Blob blob = quantize(1, 16, kRow,
                             {7.5f,         // ties to 8, clamped to 7: f
                              -7.5f,        // ties to -8:              0
                              0.5f,         // 0:                       8
                              1.5f,         // 2:                       a
                              2.5f,         // 2:                       a
                              3.5f,         // 4:                       c
                              -0.5f,        // 0:                       8
                              -1.5f,        // -2:                      6
                              -2.5f,        // -2:                      6
                              -3.5f,        // -4:                      4
                              6.5f,         // 6:                       e
                              -6.5f,        // -6:                      2
                              -0.0f,        // 0:                       8
                              0.50000006f,  // just above the tie: 1    9
                              -6.5000005f,  // just beyond: -7          1
                              7.0f});       // 7:                       f
  CHECK(blob.codeWords() == Words{0x68caa80fu, 0xf1982e46u});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
}

TEST_CASE("int4 narrow range: scale absmax/7 and no code -8") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // absmax 7: s = 1. -7 -> 1; 7 -> f; -6.5 ties to -6 -> 2; 0 -> 8; the four nibbles after them are 0.
  const NibWeights narrow = weights(kInt4, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW);
  CHECK(quantize(1, 4, narrow, {-7.0f, 7.0f, -6.5f, 0.0f}).codeWords() == Words{0x000082f1u});
  // A given scale too: -100 stops at -7.
  CHECK(quantize(1, 2, narrow, NIB_TYPE_F32, std::vector<float>{-100.0f, 100.0f}, kOne).codeWords() ==
        Words{0x000000f1u});
  CHECK(quantize(1, 2, kRow, NIB_TYPE_F32, std::vector<float>{-100.0f, 100.0f}, kOne).codeWords() ==
        Words{0x000000f0u});
}

TEST_CASE("int4 asymmetric: scale range/15, the zero point in 0..15") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // min -1.25, max 2.5: h = 1.25 + 0.625 = 1.875, s = 1.875/7.5 = 1/4, r = 4, z = 1.25 * 4 = 5.
  const Blob blob = quantize(1, 9, weights(kInt4, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC),
                             {-1.25f,   // -5 + 5 = 0
                              2.5f,     // 10 + 5 = f
                              0.0f,     // 5
                              0.125f,   // 0.5 ties to 0: 5
                              0.375f,   // 1.5 ties to 2: 7
                              -0.375f,  // -1.5 ties to -2: 3
                              1.0f,     // 4 + 5 = 9
                              -1.0f,    // -4 + 5 = 1
                              2.25f});  // 9 + 5 = e, alone in the second word
  CHECK(blob.codeWords() == Words{0x193755f0u, 0x0000000eu});
  CHECK(blob.scaleWords() == Words{0x3e800000u});
  CHECK(blob.zeros == Bytes{0x05, 0, 0, 0});
}

TEST_CASE("int4 zero points tie to even and keep 0 exact for one-signed rows") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // s = 1 (max - min = 15).
  //   -2.5 .. 12.5: z ties to 2. -2 + 2 = 0; 12 + 2 = e
  //   -3.5 .. 11.5: z ties to 4. -4 + 4 = 0; 12 + 4 = 16, clamped to f
  //   15 and 3: min is 0: z = 0. f, 3
  //   -15 and -3: max is 0: z = 15. 0, c
  const Blob blob = quantize(4, 2, weights(kInt4, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC),
                             {-2.5f, 12.5f, -3.5f, 11.5f, 15.0f, 3.0f, -15.0f, -3.0f});
  CHECK(blob.codeWords() == Words{0xe0u, 0xf0u, 0x3fu, 0xc0u});
  CHECK(blob.zeros == Bytes{0x02, 0x04, 0x00, 0x0f});
}

TEST_CASE("int4 zero groups: 0x88888888, zero point 8") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  const std::vector<float> zeros{0.0f, -0.0f, 0.0f, 0.0f, -0.0f, 0.0f, 0.0f, 0.0f};
  CHECK(quantize(1, 8, kRow, zeros).codeWords() == Words{0x88888888u});
  const Blob blob = quantize(1, 8, weights(kInt4, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC), zeros);
  CHECK(blob.codeWords() == Words{0x88888888u});
  CHECK(blob.scaleWords() == Words{0});
  CHECK(blob.zeros == Bytes{8, 0, 0, 0});
}

TEST_CASE("int4 scales are rounded to their type before codes are made") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // absmax 1: s = 1/7.5 = 2/15 = 2^-3 * 1.0001 0001 0001 ... in binary.
  //   fp32 (23): 0001 0001 0001 0001 0001 000|1 0001: up, fraction 088889, exponent 124: 3e088889
  //   half (10): 0001 0001 00|01 0001: down, fraction 044, exponent -3 + 15 = 12: 3044
  //   bfloat16 (7): 0001 000|1 0001: up, fraction 09, exponent 124: 3e09
  // Codes of 1 and -1:
  //   fp32: s is too large by 7/8 * 2^-24 of itself: 1/s = 7.5 - 0.82 * 2^-21, the ulp there is 2^-21:
  //         r = 7.5 - 2^-21, below the tie: 7 and -7
  //   half: s = 2^-3 (1 + 68/1024) = 1092/8192 is smaller: 1/s = 7.50183: 8, clamped to 7, and -8
  //   bfloat16: s = 2^-3 * 137/128: 1/s = 1024/137 = 7.4745: 7 and -7
  // Code of 0.6: half 4.5011: 5; bfloat16 4.4847: 4.
  const std::vector<float> x{1.0f, -1.0f};
  const Blob f32 = quantize(1, 2, kRow, x);
  CHECK(f32.scaleWords() == Words{0x3e088889u});
  CHECK(f32.codeWords() == Words{0x1fu});
  const Blob f16 = quantize(1, 3, weights(kInt4, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), {1.0f, -1.0f, 0.6f});
  CHECK(f16.scaleWords() == Words{0x00003044u});
  CHECK(f16.codeWords() == Words{0xd0fu});
  const Blob bf16 = quantize(1, 3, weights(kInt4, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_BF16), {1.0f, -1.0f, 0.6f});
  CHECK(bf16.scaleWords() == Words{0x00003e09u});
  CHECK(bf16.codeWords() == Words{0xc1fu});
}

TEST_CASE("int4 rows start on words, parts on multiples of 256 bytes, padding is zero") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // 2 x 9: two words a row, seven nibbles of padding. bfloat16 scales: absmax 7.5 and 15: 1 = 3f80 and 2 = 4000.
  const NibWeights w = weights(kInt4, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_BF16);
  const Blob blob =
      quantize(2, 9, w,
               {7.5f, 1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, -1.0f,        // f 9 a b c d e f | 7
                -15.0f, 2.0f, 4.0f, 6.0f, 8.0f, 10.0f, 12.0f, 14.0f, 3.0f});  // 0 9 a b c d e f | 1.5 -> 2: a
  CHECK(blob.codeWords() == Words{0xfedcba9fu, 0x00000007u, 0xfedcba90u, 0x0000000au});
  CHECK(blob.scaleWords() == Words{0x40003f80u});
  const NibQuantizeDesc desc = nib::tests::quantizeDesc(2, 9, w);
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(nib::tests::asOp(desc), nullptr, &memory) == NIB_SUCCESS);
  CHECK(memory.part[NIB_PART_CODES].size_bytes == 16);
  CHECK(memory.part[NIB_PART_SCALES].offset_bytes == 256);
  CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 260);
}

TEST_CASE("int4 flat groups run across row ends") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // 2 x 10 flat in groups of 16: elements 0..15 (all of row 0, six of row 1) have absmax 7.5, the last four 15. The
  // codes are those of one row of 20: three words, not two rows of two.
  std::vector<float> x(20, 0.0f);
  x[0] = 7.5f;     // f
  x[9] = -1.0f;    // 7, the end of row 0
  x[10] = 1.0f;    // 9, the start of row 1
  x[16] = -15.0f;  // 0
  x[19] = 2.0f;    // 9
  const Blob blob = quantize(2, 10, weights(kInt4, NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_FLAT), x);
  CHECK(blob.codeWords() == Words{0x8888888fu, 0x88888978u, 0x00009880u});
  CHECK(blob.scaleWords() == Words{0x3f800000u, 0x40000000u});
}

TEST_CASE("int4 codes decode to these values") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  // s = 1/4: nibbles 0..f are -8..7, so -2, -1.75, ... 1.75.
  const Bytes quarter{0x00, 0x00, 0x80, 0x3e};
  CHECK(dequantize(1, 16, kRow, {0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe}, quarter) ==
        Words{0xc0000000u, 0xbfe00000u, 0xbfc00000u, 0xbfa00000u, 0xbf800000u, 0xbf400000u, 0xbf000000u, 0xbe800000u,
              0x00000000u, 0x3e800000u, 0x3f000000u, 0x3f400000u, 0x3f800000u, 0x3fa00000u, 0x3fc00000u, 0x3fe00000u});
  // Zero point 5: 0 -> -5/4, 5 -> +0, f -> 10/4. The upper half of a zero byte is ignored.
  const NibWeights asymmetric = weights(kInt4, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC);
  CHECK(dequantize(1, 3, asymmetric, {0x50, 0x0f}, quarter, {0x05}) == Words{0xbfa00000u, 0u, 0x40200000u});
  CHECK(dequantize(1, 3, asymmetric, {0x50, 0x0f}, quarter, {0xf5}) == Words{0xbfa00000u, 0u, 0x40200000u});
  // 7 * fp32(2/15): s = 0x888889 * 2^-26; 7 * 0x888889 = 0x3bbbbbf, 26 bits: to 24 bits 0xeeeeef|11: up, 0xeeeef0.
  // Times 2^-24: 0.93333, exponent 126: 3f6eeef0.
  CHECK(dequantize(1, 1, kRow, {0x0f}, {0x89, 0x88, 0x08, 0x3e}) == Words{0x3f6eeef0u});
  // A scale of 0, negative or NaN: every code is +0.
  CHECK(dequantize(1, 2, kRow, {0xf0}, {0, 0, 0, 0}) == Words{0, 0});
  CHECK(dequantize(1, 2, kRow, {0xf0}, {0, 0, 0x80, 0xbf}) == Words{0, 0});
  CHECK(dequantize(1, 2, kRow, {0xf0}, {0, 0, 0xc0, 0x7f}) == Words{0, 0});
}
