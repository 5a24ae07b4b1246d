// NF4, byte for byte. The table is the one that QLoRA and bitsandbytes publish; the words come from it by hand.
// bitsandbytes' own storage puts the first element in the HIGH nibble: that is a packed layout, not this canonical one.
#include <doctest/doctest.h>

#include <cmath>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {

constexpr float kTable[16] = {-1.0f,
                              -0.6961928009986877f,
                              -0.5250730514526367f,
                              -0.39491748809814453f,
                              -0.28444138169288635f,
                              -0.18477343022823334f,
                              -0.09105003625154495f,
                              0.0f,
                              0.07958029955625534f,
                              0.16093020141124725f,
                              0.24611230194568634f,
                              0.33791524171829224f,
                              0.44070982933044434f,
                              0.5626170039176941f,
                              0.7229568362236023f,
                              1.0f};

// The midpoints of neighbours, rounded to fp32 with ties to even.
constexpr uint32_t kThresholdBits[15] = {
    0xbf591cd8u,  // -0.84809640049934387: exactly between -0.84809643 (..d9) and -0.84809637 (..d8)
    0xbf1c5270u, 0xbeeb8480u, 0xbeadea76u, 0xbe703cecu, 0xbe0d38bcu, 0xbd3a7871u, 0x3d22faffu,
    0x3df64862u,  // 0.12025525048375130: between ..62 and ..63
    0x3e5067e0u, 0x3e9582d4u, 0x3ec753f9u,
    0x3f006d04u,  // 0.50166341662406921: between ..03 and ..04
    0x3f248dafu,
    0x3f5c89dau,  // 0.86147841811180115: between ..d9 and ..da
};

// The literals of bitsandbytes' decision tree. They have 16 decimal digits, so a compiler rounds those of exact ties
// between two fp32 values to one side: four differ from the rounded midpoint by one ulp.
constexpr float kPeerThresholds[15] = {
    -0.8480964004993439f,  -0.6106329262256622f,   -0.4599952697753906f, -0.33967943489551544f, -0.23460740596055984f,
    -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f,   0.2035212516784668f,
    0.2920137718319893f,   0.3893125355243683f,    0.5016634166240692f,  0.6427869200706482f,   0.8614784181118011f};

float floatOfBits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

std::vector<float> thresholds() {
  std::vector<float> values;
  for (const uint32_t bits : kThresholdBits) values.push_back(floatOfBits(bits));
  return values;
}

constexpr uint32_t kNf4 = NIB_FORMAT_NF4;
const NibWeights kRow = weights(kNf4, NIB_GRANULARITY_ROW, 0);
const Bytes kOne{0x00, 0x00, 0x80, 0x3f};  // 1.0f

}  // namespace

NIB_DEFINE_FORMAT_MODEL(nf4, {.kind = Kind::kCodebook, .values = kTable})

TEST_CASE("NF4 table values of absmax 1 pack to 0x76543210 0xfedcba98") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  const Blob blob = quantize(1, 16, kRow, std::vector<float>(kTable, kTable + 16));
  CHECK(blob.codeWords() == Words{0x76543210u, 0xfedcba98u});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  CHECK(blob.zeros.empty());
}

TEST_CASE("NF4 codes have the table's values, as fp32 patterns") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  // -0.6961928009986877 = -1.3923856 * 2^-1: 0.3923856 * 2^23 = 3291569 = 0x3239b1, exponent 126: bf3239b1; and so on.
  // 0.1609302 = 1.2874416 * 2^-3: 0.2874416 * 2^23 = 2411235 = 0x24cae3, exponent 124: 3e24cae3.
  const Bytes all{0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe};
  CHECK(dequantize(1, 16, kRow, all, kOne) ==
        Words{0xbf800000u, 0xbf3239b1u, 0xbf066b30u, 0xbeca32a0u, 0xbe91a24du, 0xbe3d353fu, 0xbdba7871u, 0x00000000u,
              0x3da2faffu, 0x3e24cae3u, 0x3e7c04ddu, 0x3ead033au, 0x3ee1a4b8u, 0x3f1007abu, 0x3f3913b3u, 0x3f800000u});
  const Words values = dequantize(1, 16, kRow, all, kOne);
  for (int code = 0; code < 16; ++code) {
    float value;
    std::memcpy(&value, &values[size_t(code)], sizeof value);
    CHECK(value == kTable[code]);
  }
  // absmax 4 adds 2 to every exponent except that of 0.
  const Words times_four = dequantize(1, 16, kRow, all, {0x00, 0x00, 0x80, 0x40});
  for (size_t code = 0; code < 16; ++code) CHECK(times_four[code] == (code == 7 ? 0u : values[code] + 0x01000000u));
}

TEST_CASE("NF4 thresholds are the fp32 midpoints and round to the lower code") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  for (size_t i = 0; i < 15; ++i) {
    // The midpoint of two fp32 values is exact in a double.
    CHECK(thresholds()[i] == float((double(kTable[i]) + double(kTable[i + 1])) / 2.0));
  }
  // The given scale is 1, so y = x. At every threshold: codes 0..14. The 16th element is 1.
  std::vector<float> x = thresholds();
  x.push_back(1.0f);
  CHECK(quantize(1, 16, kRow, NIB_TYPE_F32, x, kOne).codeWords() == Words{0x76543210u, 0xfedcba98u});
  // One ulp below: the same.
  for (size_t i = 0; i < 15; ++i) x[i] = std::nextafter(thresholds()[i], -2.0f);
  CHECK(quantize(1, 16, kRow, NIB_TYPE_F32, x, kOne).codeWords() == Words{0x76543210u, 0xfedcba98u});
  // One ulp above: the next code, 1..15.
  for (size_t i = 0; i < 15; ++i) x[i] = std::nextafter(thresholds()[i], 2.0f);
  CHECK(quantize(1, 16, kRow, NIB_TYPE_F32, x, kOne).codeWords() == Words{0x87654321u, 0xffedcba9u});
}

TEST_CASE("NF4 thresholds differ from bitsandbytes' compiled literals in four places, by one ulp") {
  for (size_t i = 0; i < 15; ++i) {
    const bool tie = i == 0 || i == 8 || i == 12 || i == 14;
    const float up = std::nextafter(thresholds()[i], 2.0f), down = std::nextafter(thresholds()[i], -2.0f);
    INFO(i);
    CHECK((kPeerThresholds[i] == thresholds()[i]) == !tie);
    if (tie) CHECK(kPeerThresholds[i] == (i == 8 ? up : down));
  }
}

TEST_CASE("NF4 zero blocks are 0x77777777, and so is negative zero") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  const Blob zeros = quantize(1, 8, kRow, {0.0f, -0.0f, 0.0f, -0.0f, 0.0f, 0.0f, 0.0f, 0.0f});
  CHECK(zeros.codeWords() == Words{0x77777777u});
  CHECK(zeros.scaleWords() == Words{0});
  // With an absmax of 1: -0 -> 7, 1 -> f, -1 -> 0; five nibbles of padding are 0.
  CHECK(quantize(1, 3, kRow, {-0.0f, 1.0f, -1.0f}).codeWords() == Words{0x0f7u});
}

TEST_CASE("NF4 scales are the absmax, rounded to their type before codes are made") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  // absmax 1 + 2^-11 + 2^-20 as half: the tie is 2^-11, just above: 1 + 2^-10 = 3c01. As bfloat16: 1 = 3f80.
  const float large = 1.0f + 0x1p-11f + 0x1p-20f;
  CHECK(quantize(1, 2, weights(kNf4, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), {large, 0.0f}).scaleWords() ==
        Words{0x3c01u});
  CHECK(quantize(1, 2, weights(kNf4, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_BF16), {large, 0.0f}).scaleWords() ==
        Words{0x3f80u});
  // 1 + 2^-11 itself ties to even: 3c00.
  CHECK(quantize(1, 2, weights(kNf4, NIB_GRANULARITY_ROW, 0, 0, NIB_TYPE_F16), {1.0f + 0x1p-11f, 0.0f}).scaleWords() ==
        Words{0x3c00u});
  // absmax 2: r = 1/2. Twice a threshold is at the threshold; one ulp more is above.
  const float on = 2.0f * thresholds()[10];
  CHECK(quantize(1, 3, kRow, {2.0f, on, std::nextafter(on, 2.0f)}).codeWords() == Words{0xbafu});
  // absmax 3: r = fp32(1/3) = 0xaaaaab * 2^-25, a little above 1/3. 3 * 1.0 / 3: y = fp32(3 r) = 1; -3: -1: f and 0.
  CHECK(quantize(1, 2, kRow, {3.0f, -3.0f}).codeWords() == Words{0x0fu});
}

TEST_CASE("NF4 flat blocks of 64 run across row ends, and the last one is short") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  // 3 x 43 = 129 elements: blocks 0..63, 64..127 and the single element 128; 17 words, the last with one nibble.
  std::vector<float> x(129, 0.0f);
  x[0] = -2.0f;    // block 0: absmax 2, code 0
  x[43] = 1.0f;    // row 1 begins, still block 0: 1/2, between thresholds 0.3893 and 0.5017: code c
  x[63] = 2.0f;    // code f
  x[64] = 0.25f;   // block 1 begins inside row 1: absmax 1/2, so 1/2: c
  x[127] = -0.5f;  // 0
  x[128] = 8.0f;   // block 2: f
  const Blob blob = quantize(3, 43, weights(kNf4, NIB_GRANULARITY_GROUP, 0, NIB_WEIGHTS_FLAT), x);
  Words wanted(17, 0x77777777u);
  wanted[0] = 0x77777770u;
  wanted[5] = 0x7777c777u;  // 43 = 5 * 8 + 3
  wanted[7] = 0xf7777777u;
  wanted[8] = 0x7777777cu;
  wanted[15] = 0x07777777u;
  wanted[16] = 0x0000000fu;
  CHECK(blob.codeWords() == wanted);
  CHECK(blob.scaleWords() == Words{0x40000000u, 0x3f000000u, 0x41000000u});
}

TEST_CASE("NF4 non-finite elements with a given scale are code 7, large ones saturate") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_NF4);
  const Blob blob = quantize(1, 4, kRow, NIB_TYPE_F32, std::vector<float>{INFINITY, NAN, 3e38f, -3e38f}, kOne);
  CHECK(blob.codeWords() == Words{0x0f77u});
  CHECK(blob.status.nonfinite_count == 2);
  CHECK(~blob.status.first_nonfinite_not == 0);
}
