// uint4, byte for byte. Each pattern is worked out by hand: value = (code - z) * scale, eight codes to a word.
#include <doctest/doctest.h>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kUint4 = NIB_FORMAT_UINT4;
constexpr uint32_t kAsym = NIB_WEIGHTS_ASYMMETRIC;
}  // namespace

NIB_DEFINE_FORMAT_MODEL(uint4, {})

TEST_CASE("uint4 has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT4);
  const NibFormatInfo* info = nibFormatById(kUint4);
  CHECK(uint32_t(NIB_FORMAT_UINT4) == 5);
  CHECK(info->bits == 4);
  CHECK(info->default_group_size == 128);
  CHECK((info->weights_flags & kAsym) != 0);
}

TEST_CASE("uint4 asymmetric: multiples 0..15 of 1/4 are codes 0..15, zero point 0") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT4);
  // 0 .. 3.75: half range 1.875, / 7.5 = 1/4 = 3e800000. z = -0 / s = 0.
  std::vector<float> x;
  for (int i = 0; i < 16; ++i) x.push_back(0.25f * float(i));
  const Blob blob = quantize(1, 16, weights(kUint4, NIB_GRANULARITY_ROW, 0, kAsym), x);
  CHECK(blob.codeWords() == Words{0x76543210u, 0xfedcba98u});
  CHECK(blob.scaleWords() == Words{0x3e800000u});
  CHECK(blob.zeros == Bytes{0, 0, 0, 0});
}

TEST_CASE("uint4 asymmetric: zero points are the code of 0, one byte each, four to a word") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT4);
  // Rows -1..2.75 (s 1/4, z 4), -3.75..0 (z 15), 0..3.75 (z 0), -2..1.75 (z 8), 1..3.75 (the range includes 0: z 0).
  const Blob blob = quantize(5, 2, weights(kUint4, NIB_GRANULARITY_ROW, 0, kAsym),
                             {-1.0f, 2.75f, -3.75f, 0.0f, 0.0f, 3.75f, -2.0f, 1.75f, 1.0f, 3.75f});
  CHECK(blob.codeWords() == Words{0xf0u, 0xf0u, 0xf0u, 0xf0u, 0xf4u});
  CHECK(blob.scaleWords() == Words{0x3e800000u, 0x3e800000u, 0x3e800000u, 0x3e800000u, 0x3e800000u});
  CHECK(blob.zeros == Bytes{4, 15, 0, 8, 0, 0, 0, 0});
}

TEST_CASE("uint4 symmetric codes are offset binary: code + 8, absmax over 7.5") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT4);
  // absmax 7.5, s = 1: -7.5 ties to -8 -> 0; 7.5 ties to 8, saturates at 15; 0 -> 8; 1 -> 9; -1 -> 7; 2.5 -> 2 -> a.
  const Blob blob = quantize(1, 6, weights(kUint4, NIB_GRANULARITY_ROW, 0), {-7.5f, 7.5f, 0.0f, 1.0f, -1.0f, 2.5f});
  CHECK(blob.codeWords() == Words{0xa798f0u});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
}

TEST_CASE("uint4 codes, zero points and scales decode to these values") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_UINT4);
  // (0 - 3) / 2 = -1.5 bfc00000; (3 - 3) = 0; (15 - 3) / 2 = 6 40c00000; (4 - 3) / 2 = 3f000000.
  CHECK(dequantize(1, 4, weights(kUint4, NIB_GRANULARITY_ROW, 0, kAsym), {0x30, 0x4f, 0, 0}, {0, 0, 0, 0x3f}, {3}) ==
        Words{0xbfc00000u, 0x00000000u, 0x40c00000u, 0x3f000000u});
}
