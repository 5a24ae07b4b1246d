// Products on the CPU against sums of dequantized weights in double precision, and against values worked out by hand.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cstring>
#include <limits>
#include <vector>

#include "case_bound.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "reference/reference.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

// The reference accumulates in double, so only its last rounding is inexact: half an ulp, as a fraction of the bound.
double allowedFraction(const NibMatmulDesc& d) {
  const bool rounded_once = d.result_type == NIB_TYPE_F32 && d.activation < NIB_ACTIVATION_GELU;
  return rounded_once ? 0.51 / (d.cols + 2.0) : 1.0;
}

void checkCases(uint32_t format) {
  for (const selftest::Case& c :
       selftest::thinned(selftest::casesOf(NIB_OP_MATMUL, format, selftest::Extent::kFull), 5)) {
    expectWithinBound(c, allowedFraction(c.as<NibMatmulDesc>()));
  }
}

NibMatmulDesc product(uint32_t rows, uint32_t cols, uint32_t tokens, const NibWeights& w) {
  NibMatmulDesc d = selftest::describe<NibMatmulDesc>(NIB_OP_MATMUL);
  d.rows = rows;
  d.cols = cols;
  d.tokens = tokens;
  d.weights = w;
  return d;
}

void checkMemory() {
  const auto check = [](NibMatmulDesc d, uint64_t weights_end) {
    const uint64_t batch = d.batch != 0 ? d.batch : 1, rows = d.rows * batch, tokens = d.tokens * batch;
    d.flags = uint32_t(d.tokens + d.cols) % 8;
    const NibMemory memory = memoryOf(d);
    const bool bias = (d.flags & NIB_PRODUCT_BIAS) != 0, order = (d.flags & NIB_PRODUCT_ORDER) != 0;
    uint64_t end = checkNext(memory, NIB_PART_BIAS, weights_end, bias ? 4 * rows : 0);
    end = checkNext(memory, NIB_PART_ORDER, end, order ? 4 * uint64_t(d.cols) : 0);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == end);
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes ==
          tests::denseBytes(tokens, d.cols, d.input_stride != 0 ? d.input_stride : d.cols, d.input_type));
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes ==
          tests::denseBytes(tokens, d.rows, evenStride(d.rows, d.result_type), d.result_type));
    checkAux(memory, false);
    return memory;
  };
  const auto describe = [](const Extents& shape, const NibWeights& w, uint64_t index) {
    NibMatmulDesc d = product(shape.rows, shape.cols, uint32_t(1 + index % 11), w);
    d.batch = uint32_t(index % 3);
    d.input_type = uint32_t(index % 3);
    d.result_type = uint32_t(index / 3 % 3);
    if (index % 5 == 0) d.input_stride = shape.cols + 3;
    return d;
  };
  constexpr uint64_t kMostTokens = 11 * 2;
  const auto fits = [](const Extents& shape) {
    return (uint64_t(shape.cols) + 3) * kMostTokens <= kMostElements &&
           (uint64_t(shape.rows) + 1) * kMostTokens <= kMostElements &&
           uint64_t(shape.rows) * 2 * shape.cols <= kMostElements;
  };
  forEachWeights([&](const NibWeights& w, const Extents& shape, uint64_t index) {
    if (!fits(shape)) return;
    const NibMatmulDesc d = describe(shape, w, index);
    const model::Layout l = model::layoutOf(uint64_t(shape.rows) * (d.batch != 0 ? d.batch : 1), shape.cols, w);
    // Rows of flat weights consist of whole groups and are multiples of 32.
    if ((w.flags & NIB_WEIGHTS_FLAT) && (shape.cols % 32 != 0 || shape.cols % l.group != 0)) return;
    checkWeightParts(check(d, l.blob_bytes), l);
  });
  uint64_t index = 0;
  for (const Extents& shape : kExtents) {
    for (uint32_t type = 0; type < 3 && fits(shape); ++type) {
      const NibMatmulDesc d = describe(shape, selftest::denseWeights(type), ++index);
      // Rows of dense weights start on words.
      const uint64_t rows = uint64_t(shape.rows) * (d.batch != 0 ? d.batch : 1);
      const uint64_t bytes = rows * evenStride(shape.cols, type) * (type == NIB_TYPE_F32 ? 4 : 2);
      const NibMemory memory = check(d, bytes);
      CHECK(memory.part[NIB_PART_CODES].size_bytes == bytes);
      CHECK(memory.part[NIB_PART_SCALES].size_bytes == 0);
    }
  }
}

// Matrices that tokens choose.
void checkChoices() {
  for (uint32_t turn = 0; turn < 12; ++turn) {
    NibMatmulDesc d = product(37 + turn, 208, 1 + turn * 7, selftest::denseWeights(turn % 3));
    d.batch = 1 + turn * 3;
    d.choices = 1 + turn % 4;
    d.input_type = turn % 3;
    const bool each = turn % 2 != 0;
    if (each) d.flags = NIB_PRODUCT_EACH_INPUT;
    const NibMemory memory = memoryOf(d);
    const uint64_t results = uint64_t(d.tokens) * d.choices, inputs = each ? results : d.tokens;
    const uint64_t end = checkNext(memory, NIB_PART_SOURCE, 0, tests::denseBytes(inputs, 208, 208, d.input_type));
    CHECK(checkNext(memory, NIB_PART_INDICES, end, results * 4) == memory.range[NIB_ROLE_INPUT].size_bytes);
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == results * d.rows * 4);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes ==
          uint64_t(d.rows) * d.batch * 208 * (turn % 3 == NIB_TYPE_F32 ? 4 : 2));
    checkAux(memory, false);
  }
}

void checkRefusals() {
  using Desc = NibMatmulDesc;
  const auto coded = [](Desc& d, uint32_t format, NibGranularity granularity, uint32_t group, uint32_t flags = 0) {
    d.input_stride = 0;
    d.input = weights(format, granularity, group, flags);
  };
  const std::vector<Wrong<Desc>> wrong = {
      {"flags", kInvalid, [](Desc& d) { d.flags = 8; }},
      {"flags", kInvalid, [](Desc& d) { d.flags = NIB_PRODUCT_EACH_INPUT; }},
      {"choices", kInvalid, [](Desc& d) { d.choices = 65, d.batch = 4; }},
      {"batch", kInvalid, [](Desc& d) { d.choices = 2, d.batch = 0; }},
      {"batch", kInvalid, [](Desc& d) { d.choices = 2, d.batch = 1025; }},
      {"flags", kUnsupported, [](Desc& d) { d.choices = 2, d.batch = 4, d.flags = NIB_PRODUCT_RESIDUAL; }},
      {"flags", kUnsupported, [](Desc& d) { d.choices = 2, d.batch = 4, d.flags = NIB_PRODUCT_ORDER; }},
      {"result_type", kUnsupported,
       [](Desc& d) { d.choices = 2, d.batch = 4, d.flags = 0, d.result_type = NIB_TYPE_F16; }},
      {"input.format", kUnsupported,
       [=](Desc& d) {
         d.choices = 2, d.batch = 4, d.flags = 0;
         coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0);
       }},
      {"input.granularity", kInvalid, [](Desc& d) { d.input.granularity = 1; }},
      {"group_size", kInvalid, [](Desc& d) { d.input.group_size = 32; }},
      {"scale_type", kInvalid, [](Desc& d) { d.input.scale_type = 1; }},
      {"flags", kInvalid, [](Desc& d) { d.input.flags = 1; }},
      {"input.format", kUnsupported, [=](Desc& d) { coded(d, NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0); }},
      {"input.format", kUnsupported, [=](Desc& d) { coded(d, 999, NIB_GRANULARITY_ROW, 0); }},
      {"input.format", kUnsupported,
       [=](Desc& d) {
         coded(d, nibFormatById(NIB_FORMAT_FP8) == nullptr ? NIB_FORMAT_FP8 : NIB_FORMAT_NF4, NIB_GRANULARITY_ROW, 0);
       }},
  };
  const std::vector<Wrong<Desc>> wrong_codes = {
      {"input_type", kInvalid, [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input_type = 3; }},
      {"input_stride", kInvalid,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input_stride = 64; }},
      {"input.granularity", kUnsupported, [=](Desc& d) { coded(d, NIB_FORMAT_FP8_E5M2, NIB_GRANULARITY_COLUMN, 0); }},
      {"input.granularity", kInvalid,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input.granularity = 4; }},
      {"input.group_size", kInvalid, [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 32); }},
      {"input.group_size", kInvalid, [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_GROUP, 17); }},
      {"input.scale_type", kInvalid,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input.scale_type = 5; }},
      {"input.flags", kUnsupported,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_FLAT); }},
      {"input.flags", kUnsupported,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW); }},
  };
  const std::vector<Wrong<Desc>> wrong_dims = {
      {"activation", kInvalid, [](Desc& d) { d.activation = 6; }},
      {"rows, cols and tokens", kInvalid, [](Desc& d) { d.tokens = 0; }},
      {"matrices", kInvalid, [](Desc& d) { d.batch = 1u << 27; }},
      {"tokens", kInvalid, [](Desc& d) { d.tokens = 1u << 26; }},
      {"input_type", kInvalid, [](Desc& d) { d.input_type = 3; }},
      {"input_stride", kInvalid, [](Desc& d) { d.input_stride = 63; }},
      {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
      {"result_stride 2 is less than rows", kInvalid, [](Desc& d) { d.result_stride = 2; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 5; }},
  };
  Desc right = product(4, 64, 9, {});
  right.input_type = NIB_TYPE_F16;
  right.input_stride = 66;
  right.result_type = NIB_TYPE_BF16;
  right.result_stride = 6;
  for (const NibFormatInfo* info : scaledFormats()) {
    right.weights = weights(info->format, NIB_GRANULARITY_GROUP, 32);
    expectEachRefused(right, "matmul", wrong);
    expectEachRefused(right, "matmul", wrong_dims);
    expectEachRefused(right, "matmul",
                      {{"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 17; }},
                       {"weights.format", kUnsupported, [](Desc& d) { d.weights.format = 999; }},
                       {"cols", kUnsupported,
                        [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT, d.cols = 80, d.input_stride = 80; }}});
  }
  right.weights = selftest::denseWeights(NIB_TYPE_F16);
  expectEachRefused(right, "matmul", wrong);
  expectEachRefused(right, "matmul", wrong_dims);
  if (nibFormatById(NIB_FORMAT_FP8) != nullptr && nibFormatById(NIB_FORMAT_FP8_E5M2) != nullptr) {
    expectEachRefused(right, "matmul", wrong_codes);
  }
  expectEachRefused(right, "matmul",
                    {{"weights.scale_type", kInvalid, [](Desc& d) { d.weights.scale_type = NIB_TYPE_E8M0; }},
                     {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = 1; }},
                     {"group_size", kInvalid, [](Desc& d) { d.weights.group_size = 32; }},
                     {"flags", kInvalid, [](Desc& d) { d.weights.flags = 1; }}});
}

void checkAllMemory() {
  checkMemory();
  checkChoices();
}

}  // namespace

NIB_DEFINE_OP_TEST(matmul, .memory = checkAllMemory, .refusals = checkRefusals)

TEST_CASE("matmul of dense weights is the sum of products in double precision") { checkCases(NIB_FORMAT_DENSE); }

TEST_CASE("matmul of every format is the sum of products of the dequantized weights") {
  for (const model::Format& format : model::formats()) checkCases(format.id);
}

// W = [[1, 2], [3, 4], [-5, 6]], x = [10, 1] and [0, -1]: sums 12, 34, -44 and -2, -4, -6.
TEST_CASE("matmul adds the bias, applies the activation, adds the previous output, in this order") {
  NibMatmulDesc d = product(3, 2, 2, selftest::denseWeights(NIB_TYPE_F32));
  d.flags = NIB_PRODUCT_BIAS | NIB_PRODUCT_RESIDUAL;
  d.activation = NIB_ACTIVATION_RELU;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  CHECK(ranges.memory.part[NIB_PART_BIAS].offset_bytes == 256);
  const float w[] = {1, 2, 3, 4, -5, 6}, x[] = {10, 1, 0, -1}, bias[] = {0.5f, 1, 2}, held[] = {100, 200, 300, 1, 2, 3};
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS) + 256, bias, sizeof bias);
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), x, sizeof x);
  std::memcpy(ranges.bytes(NIB_ROLE_OUTPUT), held, sizeof held);
  REQUIRE(ranges.run(2) == NIB_SUCCESS);
  const float expected[] = {112.5f, 235, 300, 1, 2, 3};
  CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), expected, sizeof expected) == 0);
}

TEST_CASE("matmul of a batch uses each matrix's rows, tokens and bias; fewer tokens leave other results unchanged") {
  NibMatmulDesc d = product(1, 1, 2, selftest::denseWeights(NIB_TYPE_F32));
  d.batch = 2;
  d.flags = NIB_PRODUCT_BIAS;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const float w[] = {2, 3}, bias[] = {0.25f, 0.5f}, x[] = {1, 10, 100, 1000}, before[] = {-1, -2, -3, -4};
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS) + 256, bias, sizeof bias);
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), x, sizeof x);
  std::memcpy(ranges.bytes(NIB_ROLE_OUTPUT), before, sizeof before);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  const float expected[] = {2.25f, -2, 300.5f, -4};
  CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), expected, sizeof expected) == 0);
}

// Matrices [[1, 2]], [[10, 20]] and [[100, 200]]; number 7 counts as the last one.
TEST_CASE("matmul multiplies by the matrices that tokens choose") {
  NibMatmulDesc d = product(1, 2, 3, selftest::denseWeights(NIB_TYPE_F32));
  d.batch = 3;
  d.choices = 2;
  const float w[] = {1, 2, 10, 20, 100, 200}, x[] = {1, 1, 3, 5, 7, 9, 2, 0};
  const uint32_t chosen[] = {2, 0, 7, 1};
  for (const bool each : {false, true}) {
    d.flags = each ? uint32_t(NIB_PRODUCT_EACH_INPUT) : 0u;
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_SOURCE), x, sizeof x / (each ? 1 : 2));
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INDICES), chosen, sizeof chosen);
    REQUIRE(ranges.run(2) == NIB_SUCCESS);
    const float shared[] = {300, 3, 1300, 130}, own[] = {300, 13, 2500, 20};
    CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), each ? own : shared, sizeof own) == 0);
    CHECK(ranges.guardsHold());
  }
}

// W = [[1, 2, 4, 8]], x = [1, 10, 100, 1000] and [3, 5, 7, 9]; column 2 has no activation.
TEST_CASE("matmul with an order multiplies column k by activation order[k], or 0 if that is out of range") {
  for (const NibType type : {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16}) {
    NibMatmulDesc d = product(1, 4, 2, selftest::denseWeights(NIB_TYPE_F32));
    d.flags = NIB_PRODUCT_BIAS | NIB_PRODUCT_ORDER;
    d.input_type = type;
    d.input_stride = 5;
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    CHECK(ranges.memory.part[NIB_PART_BIAS].offset_bytes == 256);
    CHECK(ranges.memory.part[NIB_PART_ORDER].offset_bytes == 512);
    CHECK(ranges.memory.part[NIB_PART_ORDER].size_bytes == 16);
    CHECK(ranges.memory.range[NIB_ROLE_WEIGHTS].size_bytes == 528);
    const float w[] = {1, 2, 4, 8}, bias = 0.5f, x[] = {1, 10, 100, 1000, 1e4f, 3, 5, 7, 9};
    const uint32_t order[] = {3, 0, 4, 1};
    std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
    std::memcpy(ranges.part(NIB_ROLE_WEIGHTS, NIB_PART_BIAS), &bias, sizeof bias);
    std::memcpy(ranges.part(NIB_ROLE_WEIGHTS, NIB_PART_ORDER), order, sizeof order);
    for (uint32_t i = 0; i < 9; ++i) storeDense(ranges.bytes(NIB_ROLE_INPUT), type, i, exact::bitsOf(x[i]));
    REQUIRE(ranges.run(2) == NIB_SUCCESS);
    const float expected[] = {1000 + 2 + 80 + 0.5f, 9 + 6 + 40 + 0.5f};
    CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), expected, sizeof expected) == 0);
  }
}

// Codes 0x38, 0x40, 0xb8 of E4M3 are 1, 2 and -1, as are 0x3c, 0x40, 0xbc of E5M2. The tokens' scales are 3 and 1/2.
TEST_CASE("matmul of codes decodes each token with its own scale, to the input's type") {
  for (const uint32_t format : {NIB_FORMAT_FP8, NIB_FORMAT_FP8_E5M2}) {
    if (nibFormatById(format) == nullptr) continue;
    NibMatmulDesc d = product(2, 3, 2, selftest::denseWeights(NIB_TYPE_F32));
    d.input_type = NIB_TYPE_F16;
    d.input = weights(format, NIB_GRANULARITY_ROW, 0);
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    CHECK(ranges.memory.part[NIB_PART_INPUT_SCALES].offset_bytes == 256);
    CHECK(ranges.memory.part[NIB_PART_INPUT_SCALES].size_bytes == 8);
    CHECK(ranges.memory.range[NIB_ROLE_INPUT].size_bytes == 264);
    const bool e4m3 = format == NIB_FORMAT_FP8;
    const uint8_t one = e4m3 ? 0x38 : 0x3c, two = 0x40, minus = e4m3 ? 0xb8 : 0xbc;
    // 0xff after the last code is not read.
    const uint8_t codes[] = {one, two, minus, 0xff, minus, 0, two, 0xff};
    const float w[] = {1, 10, 100, 2, 0, -1}, scales[] = {3, 0.5f};
    std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
    std::memcpy(ranges.bytes(NIB_ROLE_INPUT), codes, sizeof codes);
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES), scales, sizeof scales);
    REQUIRE(ranges.run(2) == NIB_SUCCESS);
    const float expected[] = {3 * (1 + 20 - 100), 3 * (2 + 1), 0.5f * (-1 + 200), 0.5f * (-2 - 2)};
    CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), expected, sizeof expected) == 0);
  }
}

// 448 * 256 exceeds fp16 but not fp32; 1.125 * (1 + 2^-10) is between two halves.
TEST_CASE("matmul of codes rounds decoded values to the input's type, beyond its range to infinity") {
  if (nibFormatById(NIB_FORMAT_FP8) == nullptr) return;
  for (const NibType type : {NIB_TYPE_F32, NIB_TYPE_F16}) {
    NibMatmulDesc d = product(1, 1, 2, selftest::denseWeights(NIB_TYPE_F32));
    d.input_type = type;
    d.input = weights(NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0);
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    const float one = 1, scales[] = {256, 1 + 0x1p-10f};
    const uint8_t codes[] = {0x7e, 0, 0, 0, 0x39, 0, 0, 0};
    std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), &one, 4);
    std::memcpy(ranges.bytes(NIB_ROLE_INPUT), codes, sizeof codes);
    std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES), scales, sizeof scales);
    REQUIRE(ranges.run(2) == NIB_SUCCESS);
    float y[2];
    std::memcpy(y, ranges.bytes(NIB_ROLE_OUTPUT), sizeof y);
    CHECK(y[0] == (type == NIB_TYPE_F32 ? 448.0f * 256 : std::numeric_limits<float>::infinity()));
    CHECK(y[1] == (type == NIB_TYPE_F32 ? 1.125f * (1 + 0x1p-10f) : 1.125f * 1 + 0x1p-10f));
  }
}

TEST_CASE("matmul of codes in a batch uses each matrix's tokens; fewer tokens leave other results unchanged") {
  if (nibFormatById(NIB_FORMAT_FP8) == nullptr) return;
  NibMatmulDesc d = product(1, 1, 2, selftest::denseWeights(NIB_TYPE_F32));
  d.batch = 2;
  d.flags = NIB_PRODUCT_ORDER;
  d.input = weights(NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const float w[] = {2, 3}, scales[] = {1, 10, 100, 1000}, before[] = {-1, -2, -3, -4};
  const uint8_t codes[] = {0x38, 0, 0, 0, 0x38, 0, 0, 0, 0x38, 0, 0, 0, 0x38, 0, 0, 0};
  const uint32_t order = 0;
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
  std::memcpy(ranges.part(NIB_ROLE_WEIGHTS, NIB_PART_ORDER), &order, sizeof order);
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), codes, sizeof codes);
  std::memcpy(ranges.part(NIB_ROLE_INPUT, NIB_PART_INPUT_SCALES), scales, sizeof scales);
  std::memcpy(ranges.bytes(NIB_ROLE_OUTPUT), before, sizeof before);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  const float expected[] = {2, -2, 300, -4};
  CHECK(std::memcmp(ranges.bytes(NIB_ROLE_OUTPUT), expected, sizeof expected) == 0);
}

TEST_CASE("matmul's activations at tabulated points") {
  struct Point {
    uint32_t activation;
    float x;
    double y;
  };
  // GELU(1) = Phi(1), SiLU(1) = 1/(1 + 1/e).
  const Point points[] = {{NIB_ACTIVATION_RELU, -3, 0},
                          {NIB_ACTIVATION_RELU, 3, 3},
                          {NIB_ACTIVATION_RELU6, 7, 6},
                          {NIB_ACTIVATION_RELU6, -1, 0},
                          {NIB_ACTIVATION_GELU, 1, 0.8413447460685429},
                          {NIB_ACTIVATION_GELU, -1, -0.15865525393145705},
                          {NIB_ACTIVATION_GELU_TANH, 1, 0.8411919906082768},
                          {NIB_ACTIVATION_SILU, 1, 0.7310585786300049},
                          {NIB_ACTIVATION_SILU, -100, 0}};
  for (const Point& point : points) {
    NibMatmulDesc d = product(1, 1, 1, selftest::denseWeights(NIB_TYPE_F32));
    d.activation = point.activation;
    Ranges ranges(asOp(d));
    REQUIRE(ranges.valid());
    const float one = 1;
    std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), &one, 4);
    std::memcpy(ranges.bytes(NIB_ROLE_INPUT), &point.x, 4);
    REQUIRE(ranges.run(1) == NIB_SUCCESS);
    float y;
    std::memcpy(&y, ranges.bytes(NIB_ROLE_OUTPUT), 4);
    CHECK(double(y) == doctest::Approx(point.y).epsilon(1e-7));
  }
}
