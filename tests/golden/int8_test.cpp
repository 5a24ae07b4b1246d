// int8, byte for byte, each number derived by hand.
#include <doctest/doctest.h>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kInt8 = NIB_FORMAT_INT8;
const NibWeights kRow = weights(kInt8, NIB_GRANULARITY_ROW, 0);
}  // namespace

NIB_DEFINE_FORMAT_MODEL(int8, {.twos_complement = true})

TEST_CASE("int8 full range: scale absmax/127.5, ties to even, two's complement, four to a word") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // absmax 127.5: s = 127.5/127.5 = 1, r = 1, so y = x.
  const Blob blob = quantize(1, 16, kRow,
                             {127.5f,       // 127.5 ties to 128, clamped to 127          7f
                              -127.5f,      // ties to -128 (even): a code                80
                              0.0f,         //                                            00
                              -0.0f,        // -0 is 0                                    00
                              0.5f,         // ties to 0                                  00
                              1.5f,         // ties to 2                                  02
                              2.5f,         // ties to 2                                  02
                              -0.5f,        // ties to -0                                 00
                              -1.5f,        // ties to -2                                 fe
                              -2.5f,        // ties to -2                                 fe
                              126.5f,       // ties to 126                                7e
                              -126.5f,      // ties to -126                               82
                              0.50000006f,  // one ulp above the tie: 1               01
                              1.4999999f,   // one ulp below: 1                       01
                              -1.5000001f,  // -2                                     fe
                              -3.0f});      //                                        fd
  CHECK(blob.codes == Bytes{0x7f, 0x80, 0x00, 0x00, 0x00, 0x02, 0x02, 0x00,  //
                            0xfe, 0xfe, 0x7e, 0x82, 0x01, 0x01, 0xfe, 0xfd});
  // The same as little-endian words: code i at bit 8 i.
  CHECK(blob.codeWords() == Words{0x0000807fu, 0x00020200u, 0x827efefeu, 0xfdfe0101u});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  CHECK(blob.zeros.empty());
}

TEST_CASE("int8 narrow range: scale absmax/127 and no code -128") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // absmax 127: s = 127/127 = 1.
  const Blob blob =
      quantize(1, 4, weights(kInt8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW), {-127.0f, 127.0f, -126.5f, 63.5f});
  // -127 = 81; 127 = 7f; -126.5 ties to -126 = 82; 63.5 ties to 64 = 40.
  CHECK(blob.codes == Bytes{0x81, 0x7f, 0x82, 0x40});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
}

TEST_CASE("int8 narrow range holds with given scales too") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // s = 1: -1000 stops at -127 when narrow, at -128 when not; 1000 at 127.
  const Bytes one{0x00, 0x00, 0x80, 0x3f};
  const std::vector<float> x{-1000.0f, 1000.0f, -128.0f, -127.4f};
  CHECK(quantize(1, 4, weights(kInt8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW), NIB_TYPE_F32, x, one).codes ==
        Bytes{0x81, 0x7f, 0x81, 0x81});
  CHECK(quantize(1, 4, kRow, NIB_TYPE_F32, x, one).codes == Bytes{0x80, 0x7f, 0x80, 0x81});
}

TEST_CASE("int8 with FOUR_BITS: scales, zero points and codes of 4 bits, a byte each") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  const auto four = [](uint32_t flags) {
    return weights(kInt8, NIB_GRANULARITY_ROW, 0, flags | NIB_WEIGHTS_FOUR_BITS);
  };
  // absmax 7.5: s = 7.5/7.5 = 1. 7.5 ties to 8, clamped to 7; -7.5 ties to -8; 3.5 ties to 4; 2.5 to 2; -0.5 to 0.
  Blob blob = quantize(1, 5, four(0), {7.5f, -7.5f, 3.5f, 2.5f, -0.5f});
  CHECK(blob.codes == Bytes{0x07, 0xf8, 0x04, 0x02, 0x00, 0x00, 0x00, 0x00});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  // Narrow, absmax 7: s = 7/7 = 1, and no code -8.
  blob = quantize(1, 4, four(NIB_WEIGHTS_NARROW), {-7.0f, 7.0f, -6.5f, 3.5f});
  CHECK(blob.codes == Bytes{0xf9, 0x07, 0xfa, 0x04});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  // min -2, max 13: h = 6.5 + 1 = 7.5, s = 7.5/7.5 = 1, z = 2 in 0..15, stored less 8: -6 = fa. A code is
  // roundEven(x) + 2 in 0..15, stored less 8.
  blob = quantize(1, 5, four(NIB_WEIGHTS_ASYMMETRIC), {-2.0f, 13.0f, 0.0f, 0.5f, 5.5f});
  CHECK(blob.codes == Bytes{0xf8, 0x07, 0xfa, 0xfa, 0x00, 0x00, 0x00, 0x00});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  CHECK(blob.zeros == Bytes{0xfa, 0x00, 0x00, 0x00});
  // Given a scale of 1, elements beyond the codes saturate.
  const Bytes one{0x00, 0x00, 0x80, 0x3f};
  const std::vector<float> beyond{-1000.0f, 1000.0f, -9.0f, 7.4f};
  CHECK(quantize(1, 4, four(0), NIB_TYPE_F32, beyond, one).codes == Bytes{0xf8, 0x07, 0xf8, 0x07});
}

TEST_CASE("int8 asymmetric: scale range/255, the zero point as a signed byte") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // min -16, max 47.75: h = 23.875 + 8 = 31.875, s = 31.875/127.5 = 1/4, r = 4. z = 16 * 4 = 64 in 0..255, as a signed
  // byte 64 - 128 = -64 = c0. A code is roundEven(4 x) + 64 in 0..255, stored less 128.
  const Blob blob = quantize(1, 12, weights(kInt8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC),
                             {-16.0f,     // -64 + 64 = 0                   80
                              47.75f,     // 191 + 64 = 255                 7f
                              0.0f,       // 64                             c0
                              -0.0f,      // 64                             c0
                              0.125f,     // 0.5 ties to 0: 64              c0
                              0.375f,     // 1.5 ties to 2: 66              c2
                              0.625f,     // 2.5 ties to 2: 66              c2
                              -0.125f,    // -0.5 ties to 0: 64             c0
                              -0.375f,    // -1.5 ties to -2: 62            be
                              47.5f,      // 190 + 64 = 254                 7e
                              -15.8125f,  // -63.25: -63 + 64 = 1           81
                              16.0f});    // 64 + 64 = 128                  00
  CHECK(blob.codes == Bytes{0x80, 0x7f, 0xc0, 0xc0, 0xc0, 0xc2, 0xc2, 0xc0, 0xbe, 0x7e, 0x81, 0x00});
  CHECK(blob.scaleWords() == Words{0x3e800000u});
  // The part is a whole word: one byte and its padding.
  CHECK(blob.zeros == Bytes{0xc0, 0x00, 0x00, 0x00});
}

TEST_CASE("int8 zero points tie to even and keep 0 exact for one-signed rows") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  const NibWeights w = weights(kInt8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC);
  // Rows of s = 1 (max - min = 255):
  //   -2.5 .. 252.5: z = 2.5 ties to 2 (stored 82). -2.5 -> -2 + 2 = 0 (80); 252.5 -> 252 + 2 = 254 (7e)
  //   -3.5 .. 251.5: z = 3.5 ties to 4 (84). -3.5 -> -4 + 4 = 0 (80); 251.5 -> 252 + 4 = 256, clamped (7f)
  //   255 and 10:    the range includes 0: z = 0 (80). 255 (7f), 10 (8a)
  //   -255 and -10:  the range includes 0: z = 255 (7f). 0 (80), 245 (75)
  const Blob blob = quantize(4, 2, w, {-2.5f, 252.5f, -3.5f, 251.5f, 255.0f, 10.0f, -255.0f, -10.0f});
  CHECK(blob.codes == Bytes{0x80, 0x7e, 0, 0, 0x80, 0x7f, 0, 0, 0x7f, 0x8a, 0, 0, 0x80, 0x75, 0, 0});
  CHECK(blob.zeros == Bytes{0x82, 0x84, 0x80, 0x7f});
  CHECK(blob.scaleWords() == Words{0x3f800000u, 0x3f800000u, 0x3f800000u, 0x3f800000u});
}

TEST_CASE("int8 scales are rounded to their type before codes are made") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // absmax 1: s = 1/127.5 = 2/255 = 2^-7 * 1.00000001 00000001 00000001... in binary.
  //   fp32 (23 places): 00000001 00000001 0000000|1 0000000 1: up, fraction 008081, exponent 120: 3c008081
  //   half (10 places): 00000001 00|00000100...: down, fraction 004, exponent -7 + 15 = 8:        2004
  //   bfloat16 (7):     0000000|1 00000001...: up, fraction 01, exponent 120:                     3c01
  // Codes of 1 and -1:
  //   fp32: s is too large by 127/128 * 2^-24 of itself: 1/s = 127.5 - 0.988 * 2^-17, and the ulp there is 2^-17:
  //         r = 127.5 - 2^-17, below the tie: 127 and -127 (81)
  //   half: s = 2^-7 (1 + 4/1024) is smaller: 1/s = 128 * 256/257 = 127.50195: 128, clamped to 127, and -128 (80)
  //   bfloat16: s = 2^-7 * 129/128: 1/s = 16384/129 = 127.0078: 127 and -127
  const std::vector<float> x{1.0f, -1.0f};
  const Blob f32 = quantize(1, 2, kRow, x);
  CHECK(f32.scaleWords() == Words{0x3c008081u});
  CHECK(f32.codes == Bytes{0x7f, 0x81, 0, 0});
  const Blob f16 = quantize(1, 2, weights(kInt8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), x);
  CHECK(f16.scaleWords() == Words{0x00002004u});
  CHECK(f16.codes == Bytes{0x7f, 0x80, 0, 0});
  const Blob bf16 = quantize(1, 2, weights(kInt8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_BF16), x);
  CHECK(bf16.scaleWords() == Words{0x00003c01u});
  CHECK(bf16.codes == Bytes{0x7f, 0x81, 0, 0});
}

TEST_CASE("int8 rows start on words, parts on multiples of 256 bytes, padding is zero") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // 3 x 5: two words a row; the scales of rows 0..2 are 1, 2 and the zero row's 0 as half: 3c00 4000 0000, then
  // padding.
  const NibWeights w = weights(kInt8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16);
  const Blob blob = quantize(3, 5, w,
                             {127.5f, 1.0f, 2.0f, 3.0f, 4.0f,   // s = 1
                              -255.0f, 2.0f, 4.0f, 6.0f, 8.0f,  // s = 2: -127.5 ties to -128
                              0.0f, -0.0f, 0.0f, 0.0f, 0.0f});  // the zero group
  CHECK(blob.codes == Bytes{0x7f, 1, 2, 3, 4, 0, 0, 0, 0x80, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  CHECK(blob.scales == Bytes{0x00, 0x3c, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00});
  const NibQuantizeDesc desc = nib::tests::quantizeDesc(3, 5, w);
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(nib::tests::asOp(desc), nullptr, &memory) == NIB_SUCCESS);
  CHECK(memory.part[NIB_PART_SCALES].offset_bytes == 256);
  CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 264);
}

TEST_CASE("int8 zero groups have scale 0, the middle zero point and the code of 0") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  const Blob blob =
      quantize(1, 4, weights(kInt8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC), {0.0f, -0.0f, 0.0f, 0.0f});
  CHECK(blob.codes == Bytes{0, 0, 0, 0});
  CHECK(blob.scaleWords() == Words{0});
  CHECK(blob.zeros == Bytes{0, 0, 0, 0});  // 128 - 128
}

TEST_CASE("int8 groups along a row and scales per column") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // A row of 18 in groups of 16: the second group is short. absmax 255 and 63.75: s = 2 and 1/2.
  std::vector<float> row(18, 0.0f);
  row[0] = 255.0f;    // 127.5 -> 128 -> 127
  row[15] = -3.0f;    // -1.5 -> -2
  row[16] = -63.75f;  // -127.5 -> -128
  row[17] = 1.25f;    // 2.5 -> 2
  const Blob grouped = quantize(1, 18, weights(kInt8, NIB_GRANULARITY_GROUP, 16), row);
  CHECK(grouped.codes == Bytes{0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0x80, 0x02, 0, 0});
  CHECK(grouped.scaleWords() == Words{0x40000000u, 0x3f000000u});

  // 2 x 3 with a scale per column: absmax 127.5, 255, 0.
  const Blob columns =
      quantize(2, 3, weights(kInt8, NIB_GRANULARITY_COLUMN, 0), {127.5f, 8.0f, 0.0f, -4.0f, 255.0f, 0.0f});
  CHECK(columns.codes == Bytes{0x7f, 0x04, 0, 0, 0xfc, 0x7f, 0, 0});
  CHECK(columns.scaleWords() == Words{0x3f800000u, 0x40000000u, 0});
}

TEST_CASE("int8 sources of 16 bits") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // Half: 57f8 = 2^6 * (1 + 1016/1024) = 127.5; c000 = -2; 3e00 = 1.5 (ties to 2); 8001 = -2^-24.
  CHECK(quantize(1, 4, kRow, NIB_TYPE_F16, std::vector<uint16_t>{0x57f8, 0xc000, 0x3e00, 0x8001}).codes ==
        Bytes{0x7f, 0xfe, 0x02, 0x00});
  // bfloat16: 42ff = 2^6 * (1 + 127/128) = 127.5; c020 = -2.5 (ties to -2); 3fc0 = 1.5; 807f: a denormal, zero.
  CHECK(quantize(1, 4, kRow, NIB_TYPE_BF16, std::vector<uint16_t>{0x42ff, 0xc020, 0x3fc0, 0x807f}).codes ==
        Bytes{0x7f, 0xfe, 0x02, 0x00});
}

TEST_CASE("int8 codes decode to these values") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // s = 1/4: 80 = -128 -> -32; ff = -1 -> -1/4; 00 -> +0; 7f = 127 -> 31.75 = 1.984375 * 2^4.
  const Bytes quarter{0x00, 0x00, 0x80, 0x3e};
  CHECK(dequantize(1, 4, kRow, {0x80, 0xff, 0x00, 0x7f}, quarter) == Words{0xc2000000u, 0xbe800000u, 0u, 0x41fe0000u});
  // Zero point c0 = -64: -128 + 64 = -64 -> -16; -1 + 64 = 63 -> 15.75; 64 -> 16; c0 itself -> +0.
  CHECK(dequantize(1, 4, weights(kInt8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC), {0x80, 0xff, 0x00, 0xc0},
                   quarter, {0xc0}) == Words{0xc1800000u, 0x417c0000u, 0x41800000u, 0u});
  // A product is rounded once: 3 * fp32(2/255) with s = 0x808081 * 2^-30: 3 * 0x808081 = 0x1818183 = 25 bits, odd: a
  // tie between 0xc0c0c1 and 0xc0c0c2 (times 2): even is 0xc0c0c2. 2^-29 * 0xc0c0c2 = 1.xx * 2^-6: exponent 121,
  // 3cc0c0c2.
  CHECK(dequantize(1, 1, kRow, {0x03}, {0x81, 0x80, 0x00, 0x3c}) == Words{0x3cc0c0c2u});
}
