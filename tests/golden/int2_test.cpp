// int2, byte for byte: codes + 2, sixteen to a word. Worked out by hand.
#include <doctest/doctest.h>

#include "golden.h"

using namespace nib::golden;
using nib::tests::weights;

namespace {
constexpr uint32_t kInt2 = NIB_FORMAT_INT2;
}  // namespace

NIB_DEFINE_FORMAT_MODEL(int2, {})

TEST_CASE("int2 has the documented properties") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT2);
  CHECK(uint32_t(NIB_FORMAT_INT2) == 7);
  CHECK(nibFormatById(kInt2)->bits == 2);
}

TEST_CASE("int2: absmax over 1.5, codes 0..3 are 0xe4 in every byte") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT2);
  // s = 1.5 / 1.5 = 1: -1.5 ties to -2 -> 0; -1 -> 1; 0 -> 2; 1.5 ties to 2, saturates at 1 -> 3.
  // 0 | 1<<2 | 2<<4 | 3<<6 = 0xe4.
  std::vector<float> x;
  for (int i = 0; i < 4; ++i) x.insert(x.end(), {-1.5f, -1.0f, 0.0f, 1.5f});
  const Blob blob = quantize(1, 16, weights(kInt2, NIB_GRANULARITY_ROW, 0), x);
  CHECK(blob.codeWords() == Words{0xe4e4e4e4u});
  CHECK(blob.scaleWords() == Words{0x3f800000u});
  CHECK(dequantize(1, 4, weights(kInt2, NIB_GRANULARITY_ROW, 0), {0xe4, 0, 0, 0}, {0, 0, 0x80, 0x3f}) ==
        Words{0xc0000000u, 0xbf800000u, 0u, 0x3f800000u});
}

TEST_CASE("int2 narrow: absmax over 1, codes -1, 0, 1 only") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT2);
  // s = 2: -2 -> -1 -> 1; 2 -> 1 -> 3; 1 / 2 ties to 0 -> 2; 1.5 / 2 -> 1 -> 3. 1 | 3<<2 | 2<<4 | 3<<6 = 0xed.
  const Blob blob =
      quantize(1, 4, weights(kInt2, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW), {-2.0f, 2.0f, 1.0f, 1.5f});
  CHECK(blob.codeWords() == Words{0xedu});
  CHECK(blob.scaleWords() == Words{0x40000000u});
}

TEST_CASE("int2 asymmetric: zero point in 0..3, groups of 16 are one word each") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT2);
  // First group -1..2: s = 1, z = 1: codes 0, 1, 3, then fourteen zeros of code 1. Second group 0..3: z = 0: 3, 2,
  // zeros.
  std::vector<float> x(32, 0.0f);
  x[0] = -1.0f;
  x[2] = 2.0f;
  x[16] = 3.0f;
  x[17] = 2.0f;
  const Blob blob = quantize(1, 32, weights(kInt2, NIB_GRANULARITY_GROUP, 16, NIB_WEIGHTS_ASYMMETRIC), x);
  CHECK(blob.codeWords() == Words{0x55555574u, 0x0000000bu});
  CHECK(blob.scaleWords() == Words{0x3f800000u, 0x3f800000u});
  CHECK(blob.zeros == Bytes{1, 0, 0, 0});
}
