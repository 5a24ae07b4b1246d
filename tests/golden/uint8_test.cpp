// uint8, byte for byte, each number derived by hand. Symmetric codes are stored as code + 128, zero points as they are.
#include <doctest/doctest.h>

#include <string>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kUint8 = NIB_FORMAT_UINT8;
const NibWeights kRow = weights(kUint8, NIB_GRANULARITY_ROW, 0);
const NibWeights kAsymmetric = weights(kUint8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC);
}  // namespace

NIB_DEFINE_FORMAT_MODEL(uint8, {})

TEST_CASE("uint8 is format 4: 8 bits, usually one scale per channel, every affine flag") {
  CHECK(uint32_t(NIB_FORMAT_UINT8) == 4);
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  const NibFormatInfo* info = nibFormatById(4);
  CHECK(std::string(info->name) == "uint8");
  CHECK(info->bits == 8);
  CHECK(info->default_group_size == 0);
  CHECK(info->weights_flags == uint32_t(NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW | NIB_WEIGHTS_FLAT));
}

TEST_CASE("uint8 asymmetric: scale range/255, code and zero point in 0..255") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // min -2, max 29.875: h = 14.9375 + 1 = 15.9375, s = 15.9375/127.5 = 1/8, r = 8, z = 2 * 8 = 16.
  const Blob blob = quantize(1, 12, kAsymmetric,
                             {-2.0f,     // -16 + 16 = 0                      00
                              29.875f,   // 239 + 16 = 255                    ff
                              0.0f,      // 16                                10
                              -0.0f,     // 16                                10
                              0.0625f,   // 0.5 ties to 0: 16                 10
                              0.1875f,   // 1.5 ties to 2: 18                 12
                              0.3125f,   // 2.5 ties to 2: 18                 12
                              -0.0625f,  // -0.5 ties to 0: 16                10
                              -0.1875f,  // -1.5 ties to -2: 14               0e
                              29.75f,    // 238 + 16 = 254                    fe
                              -1.9f,     // -15.2: -15 + 16 = 1               01
                              14.0f});   // 112 + 16 = 128                    80
  CHECK(blob.codes == Bytes{0x00, 0xff, 0x10, 0x10, 0x10, 0x12, 0x12, 0x10, 0x0e, 0xfe, 0x01, 0x80});
  // The same as little-endian words: code i at bit 8 i.
  CHECK(blob.codeWords() == Words{0x1010ff00u, 0x10121210u, 0x8001fe0eu});
  CHECK(blob.scaleWords() == Words{0x3e000000u});
  // The part is a whole word: one byte and its padding.
  CHECK(blob.zeros == Bytes{0x10, 0x00, 0x00, 0x00});
}

TEST_CASE("uint8 zero points tie to even and keep 0 exact for one-signed rows") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // Rows of s = 1 (max - min = 255):
  //   -2.5 .. 252.5: z = 2.5 ties to 2. -2.5 -> -2 + 2 = 0; 252.5 -> 252 + 2 = 254 (fe)
  //   -3.5 .. 251.5: z = 3.5 ties to 4. -3.5 -> -4 + 4 = 0; 251.5 -> 252 + 4 = 256, clamped to 255 (ff)
  //   255 and 10:    the range includes 0: z = 0. 255 (ff), 10 (0a)
  //   -255 and -10:  the range includes 0: z = 255 (ff). 0, 245 (f5)
  const Blob blob = quantize(4, 2, kAsymmetric, {-2.5f, 252.5f, -3.5f, 251.5f, 255.0f, 10.0f, -255.0f, -10.0f});
  CHECK(blob.codes == Bytes{0x00, 0xfe, 0, 0, 0x00, 0xff, 0, 0, 0xff, 0x0a, 0, 0, 0x00, 0xf5, 0, 0});
  CHECK(blob.zeros == Bytes{0x02, 0x04, 0x00, 0xff});
  CHECK(blob.scaleWords() == Words{0x3f800000u, 0x3f800000u, 0x3f800000u, 0x3f800000u});
}

TEST_CASE("uint8 groups of positive values have the zero point 0, of negative ones 255") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // A row of 18 in groups of 16. First group: all positive up to 63.75: s = 31.875/127.5 = 1/4, z = 0. Second, short
  // one: all negative down to -510: s = 255/127.5 = 2, z = 510/2 = 255.
  std::vector<float> row(18, 0.125f);  // 0.5 ties to 0
  row[0] = 63.75f;                     // 255                             ff
  row[1] = 1.0f;                       // 4                               04
  row[15] = 0.375f;                    // 1.5 ties to 2                   02
  row[16] = -510.0f;                   // -255 + 255 = 0                  00
  row[17] = -3.0f;                     // -1.5 ties to -2: 253            fd
  const Blob blob = quantize(1, 18, weights(kUint8, NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_ASYMMETRIC), row);
  CHECK(blob.codes == Bytes{0xff, 0x04, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x00, 0xfd, 0, 0});
  CHECK(blob.scaleWords() == Words{0x3e800000u, 0x40000000u});
  CHECK(blob.zeros == Bytes{0x00, 0xff, 0, 0});
}

TEST_CASE("uint8 full range: scale absmax/127.5, ties to even, offset by 128, four to a word") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // absmax 127.5: s = 127.5/127.5 = 1, r = 1, so y = x.
  const Blob blob = quantize(1, 16, kRow,
                             {127.5f,       // 127.5 ties to 128, clamped to 127     ff
                              -127.5f,      // ties to -128 (even): a code           00
                              0.0f,         //                                       80
                              -0.0f,        // -0 is 0                               80
                              0.5f,         // ties to 0                             80
                              1.5f,         // ties to 2                             82
                              2.5f,         // ties to 2                             82
                              -0.5f,        // ties to -0                            80
                              -1.5f,        // ties to -2                            7e
                              -2.5f,        // ties to -2                            7e
                              126.5f,       // ties to 126                           fe
                              -126.5f,      // ties to -126                          02
                              0.50000006f,  // one ulp above the tie: 1              81
                              1.4999999f,   // one ulp below: 1                      81
                              -1.5000001f,  // -2                                    7e
                              -3.0f});      //                                       7d
  CHECK(blob.codes ==
        Bytes{0xff, 0x00, 0x80, 0x80, 0x80, 0x82, 0x82, 0x80, 0x7e, 0x7e, 0xfe, 0x02, 0x81, 0x81, 0x7e, 0x7d});
  CHECK(blob.codeWords() == Words{0x808000ffu, 0x80828280u, 0x02fe7e7eu, 0x7d7e8181u});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  CHECK(blob.zeros.empty());
}

TEST_CASE("uint8 narrow range: scale absmax/127 and no stored code 0") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // absmax 127: s = 127/127 = 1. -127 = 01; 127 = ff; -126.5 ties to -126 = 02; 63.5 ties to 64 = c0.
  const Blob blob =
      quantize(1, 4, weights(kUint8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW), {-127.0f, 127.0f, -126.5f, 63.5f});
  CHECK(blob.codes == Bytes{0x01, 0xff, 0x02, 0xc0});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
}

TEST_CASE("uint8 with given scales and zero points saturates at both ends") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // s = 1: -1000 stops at -127 when narrow, at -128 when not; 1000 at 127.
  const Bytes one{0x00, 0x00, 0x80, 0x3f};
  const std::vector<float> x{-1000.0f, 1000.0f, -128.0f, -127.4f};
  CHECK(quantize(1, 4, weights(kUint8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW), NIB_TYPE_F32, x, one).codes ==
        Bytes{0x01, 0xff, 0x01, 0x01});
  CHECK(quantize(1, 4, kRow, NIB_TYPE_F32, x, one).codes == Bytes{0x00, 0xff, 0x00, 0x01});
  // s = 1/2, z = 10: a code is roundEven(2 x) + 10 in 0..255.
  //   -5 -> -10 + 10 = 0; -100 -> 0; 122.5 -> 245 + 10 = 255 (ff); 1000 -> ff; 0 -> 0a; 0.75 -> 1.5, ties to 2 -> 0c;
  //   -4.25 -> -8.5, ties to -8 -> 02; 118 -> 236 + 10 = 246 (f6)
  const Blob blob = quantize(1, 8, kAsymmetric, NIB_TYPE_F32,
                             std::vector<float>{-5.0f, -100.0f, 122.5f, 1000.0f, 0.0f, 0.75f, -4.25f, 118.0f},
                             {0x00, 0x00, 0x00, 0x3f}, {0x0a});
  CHECK(blob.codes == Bytes{0x00, 0x00, 0xff, 0xff, 0x0a, 0x0c, 0x02, 0xf6});
  CHECK(blob.scaleWords() == Words{0x3f000000u});
  REQUIRE(blob.zeros.size() == 4);
  CHECK(blob.zeros[0] == 0x0a);
}

TEST_CASE("uint8 scales are rounded to their type before codes and zero points are made") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // Asymmetric, 0 .. 1: s = 0.5/127.5 = 1/255 = 2^-8 * 1.00000001 00000001 00000001... in binary.
  //   fp32 (23 places): 00000001 00000001 0000000|1 0000000 1: up, fraction 008081, exponent 119: 3b808081
  //   half (10 places): 00000001 00|00000100...: down, fraction 004, exponent -8 + 15 = 7:        1c04
  //   bfloat16 (7):     0000000|1 00000001...: up, fraction 01, exponent 119:                     3b81
  // Codes of 1 and 0.5, z = 0:
  //   fp32: s = 0x808081 * 2^-31 and 255 * 0x808081 = 2^31 + 127, so s is too large by 127 * 2^-31 of itself:
  //         1/s = 255 - 0.988 * 2^-16, and the ulp there is 2^-16: r = 255 - 2^-16: 255 (ff), and 127.5 - 2^-17: 127
  //         (7f)
  //   half: s = 257/65536 is smaller: 1/s = 255.0039: 255 (ff), and 127.502: 128 (80)
  //   bfloat16: s = 129/32768: 1/s = 254.0155: 254 (fe), and 127.008: 127 (7f)
  // Codes of -1 and -0.5, z = roundEven(1/s):
  //   half: z = 255: -255 + 255 = 0, and -127.502: -128 + 255 = 127 (7f)
  //   bfloat16: z = 254, not 255: -254 + 254 = 0, and -127.008: -127 + 254 = 127 (7f)
  const std::vector<float> up{1.0f, 0.5f}, down{-1.0f, -0.5f};
  const auto asymmetric = [](NibType type) {
    return weights(kUint8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_ASYMMETRIC, type);
  };
  const Blob f32 = quantize(1, 2, asymmetric(NIB_TYPE_F32), up);
  CHECK(f32.scaleWords() == Words{0x3b808081u});
  CHECK(f32.codes == Bytes{0xff, 0x7f, 0, 0});
  CHECK(f32.zeros == Bytes{0x00, 0, 0, 0});
  const Blob f16 = quantize(1, 2, asymmetric(NIB_TYPE_F16), up);
  CHECK(f16.scaleWords() == Words{0x00001c04u});
  CHECK(f16.codes == Bytes{0xff, 0x80, 0, 0});
  CHECK(f16.zeros == Bytes{0x00, 0, 0, 0});
  const Blob bf16 = quantize(1, 2, asymmetric(NIB_TYPE_BF16), up);
  CHECK(bf16.scaleWords() == Words{0x00003b81u});
  CHECK(bf16.codes == Bytes{0xfe, 0x7f, 0, 0});
  CHECK(bf16.zeros == Bytes{0x00, 0, 0, 0});
  const Blob f16_down = quantize(1, 2, asymmetric(NIB_TYPE_F16), down);
  CHECK(f16_down.scaleWords() == Words{0x00001c04u});
  CHECK(f16_down.codes == Bytes{0x00, 0x7f, 0, 0});
  CHECK(f16_down.zeros == Bytes{0xff, 0, 0, 0});
  const Blob bf16_down = quantize(1, 2, asymmetric(NIB_TYPE_BF16), down);
  CHECK(bf16_down.scaleWords() == Words{0x00003b81u});
  CHECK(bf16_down.codes == Bytes{0x00, 0x7f, 0, 0});
  CHECK(bf16_down.zeros == Bytes{0xfe, 0, 0, 0});

  // Symmetric, absmax 1: s = 1/127.5 is twice that: 3c008081, 2004, 3c01, and 1/s half: of 1 and -1
  //   fp32: 127.5 - 2^-17, below the tie: 127 (ff) and -127 (01)
  //   half: 127.502: 128, clamped to 127 (ff), and -128 (00)
  //   bfloat16: 127.008: 127 (ff) and -127 (01)
  const std::vector<float> ends{1.0f, -1.0f};
  CHECK(quantize(1, 2, kRow, ends).scaleWords() == Words{0x3c008081u});
  CHECK(quantize(1, 2, kRow, ends).codes == Bytes{0xff, 0x01, 0, 0});
  const Blob half = quantize(1, 2, weights(kUint8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), ends);
  CHECK(half.scaleWords() == Words{0x00002004u});
  CHECK(half.codes == Bytes{0xff, 0x00, 0, 0});
  const Blob bfloat = quantize(1, 2, weights(kUint8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_BF16), ends);
  CHECK(bfloat.scaleWords() == Words{0x00003c01u});
  CHECK(bfloat.codes == Bytes{0xff, 0x01, 0, 0});
}

TEST_CASE("uint8 rows start on words, parts on multiples of 256 bytes, padding is zero") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // 3 x 5: two words a row; the scales of rows 0..2 are 1, 2 and the zero row's 0 as half: 3c00 4000 0000, then
  // padding. The zero row's codes are 80, the padding after every row is 00.
  const NibWeights w = weights(kUint8, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16);
  const Blob blob = quantize(3, 5, w,
                             {127.5f, 1.0f, 2.0f, 3.0f, 4.0f,       // s = 1
                              -255.0f, 2.0f, 4.0f, 6.0f, 8.0f,      // s = 2: -127.5 ties to -128
                              0.0f, -0.0f, 0.0f, 0.0f, 0.0f});      // the zero group
  CHECK(blob.codes == Bytes{0xff, 0x81, 0x82, 0x83, 0x84, 0, 0, 0,  //
                            0x00, 0x81, 0x82, 0x83, 0x84, 0, 0, 0,  //
                            0x80, 0x80, 0x80, 0x80, 0x80, 0, 0, 0});
  CHECK(blob.scales == Bytes{0x00, 0x3c, 0x00, 0x40, 0x00, 0x00, 0x00, 0x00});
  const NibQuantizeDesc desc = nib::tests::quantizeDesc(3, 5, w);
  NibMemory memory{sizeof(NibMemory)};
  REQUIRE(nibGetMemory(nib::tests::asOp(desc), nullptr, &memory) == NIB_SUCCESS);
  CHECK(memory.part[NIB_PART_CODES].size_bytes == 24);
  CHECK(memory.part[NIB_PART_SCALES].offset_bytes == 256);
  CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == 264);
}

TEST_CASE("uint8 zero groups have scale 0, zero point 128 and codes of 128") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  const Blob blob = quantize(1, 4, kAsymmetric, {0.0f, -0.0f, 0.0f, 0.0f});
  CHECK(blob.codes == Bytes{0x80, 0x80, 0x80, 0x80});
  CHECK(blob.scaleWords() == Words{0});
  CHECK(blob.zeros == Bytes{0x80, 0, 0, 0});
}

TEST_CASE("uint8 scales and zero points per column") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // 2 x 3: column 0 is 0 and 255: s = 1, z = 0. Column 1 is -1 and 62.75: h = 31.375 + 0.5 = 31.875, s = 1/4, z = 4;
  // codes -4 + 4 = 0 and 251 + 4 = 255. Column 2 is the zero group.
  const Blob columns = quantize(2, 3, weights(kUint8, NIB_GRANULARITY_COLUMN, 0, NIB_WEIGHTS_ASYMMETRIC),
                                {0.0f, -1.0f, 0.0f, 255.0f, 62.75f, 0.0f});
  CHECK(columns.codes == Bytes{0x00, 0x00, 0x80, 0, 0xff, 0xff, 0x80, 0});
  CHECK(columns.scaleWords() == Words{0x3f800000u, 0x3e800000u, 0});
  CHECK(columns.zeros == Bytes{0x00, 0x04, 0x80, 0});
}

TEST_CASE("uint8 sources of 16 bits") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // Half: 57f8 = 2^6 * (1 + 1016/1024) = 127.5; c000 = -2; 3e00 = 1.5 (ties to 2); 8001 = -2^-24.
  CHECK(quantize(1, 4, kRow, NIB_TYPE_F16, std::vector<uint16_t>{0x57f8, 0xc000, 0x3e00, 0x8001}).codes ==
        Bytes{0xff, 0x7e, 0x82, 0x80});
  // bfloat16: 42ff = 2^6 * (1 + 127/128) = 127.5; c020 = -2.5 (ties to -2); 3fc0 = 1.5; 807f: a denormal, zero.
  CHECK(quantize(1, 4, kRow, NIB_TYPE_BF16, std::vector<uint16_t>{0x42ff, 0xc020, 0x3fc0, 0x807f}).codes ==
        Bytes{0xff, 0x7e, 0x82, 0x80});
}

TEST_CASE("uint8 codes decode to these values") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT8);
  // s = 1/4: 00 = -128 -> -32; 7f = -1 -> -1/4; 80 -> +0; ff = 127 -> 31.75 = 1.984375 * 2^4.
  const Bytes quarter{0x00, 0x00, 0x80, 0x3e};
  CHECK(dequantize(1, 4, kRow, {0x00, 0x7f, 0x80, 0xff}, quarter) == Words{0xc2000000u, 0xbe800000u, 0u, 0x41fe0000u});
  // Zero point 64: 0 - 64 -> -16; 127 - 64 = 63 -> 15.75 = 1.96875 * 2^3; 64 -> +0; 255 - 64 = 191 -> 47.75 =
  // (1 + 63/128) * 2^5.
  CHECK(dequantize(1, 4, kAsymmetric, {0x00, 0x7f, 0x40, 0xff}, quarter, {0x40}) ==
        Words{0xc1800000u, 0x417c0000u, 0u, 0x423f0000u});
  // The smallest and largest zero points: 255 steps are 63.75 = (1 + 127/128) * 2^5.
  CHECK(dequantize(1, 2, kAsymmetric, {0x00, 0xff}, quarter, {0x00}) == Words{0u, 0x427f0000u});
  CHECK(dequantize(1, 2, kAsymmetric, {0x00, 0xff}, quarter, {0xff}) == Words{0xc27f0000u, 0u});
  // A product is rounded once: 255 * fp32(1/255) = 255 * 0x808081 * 2^-31 = 0x8000007f * 2^-31 has 32 bits; the last
  // eight, 7f, are below a half: 1.
  CHECK(dequantize(1, 1, kAsymmetric, {0xff}, {0x81, 0x80, 0x80, 0x3b}, {0x00}) == Words{0x3f800000u});
  // s = 2^121: 127 * 2^121 = (1 + 63/64) * 2^127; 128 * 2^121 = 2^128 and all above are fp32's largest.
  CHECK(dequantize(1, 4, kAsymmetric, {0x00, 0x7f, 0x80, 0xff}, {0x00, 0x00, 0x00, 0x7c}, {0x00}) ==
        Words{0u, 0x7f7e0000u, 0x7f7fffffu, 0x7f7fffffu});
}
