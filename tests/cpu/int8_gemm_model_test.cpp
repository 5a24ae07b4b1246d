// Int8 products against their definition, code_product_model.h.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "../golden/golden.h"
#include "code_product_model.h"
#include "memory_checks.h"
#include "model_ops.h"
#include "prepare.h"
#include "refusals.h"

using namespace nib;
using namespace nib::tests;

namespace {

std::string compareWithModel(const selftest::Case& c) {
  const NibInt8GemmDesc& d = c.as<NibInt8GemmDesc>();
  Ranges ranges(c.desc());
  if (!ranges.valid()) return "refused";
  prepare(c, ranges);
  const model::Bytes weights = ranges.copy(NIB_ROLE_WEIGHTS), input = ranges.copy(NIB_ROLE_INPUT);
  model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);

  const uint32_t batch = d.batch != 0 ? d.batch : 1;
  const auto at = [&](const model::Bytes& blob, NibPart part) {
    return blob.data() + ranges.memory.part[part].offset_bytes;
  };
  const uint64_t row_bytes = model::roundUp(d.cols, 4);
  const CodeProduct m{
      d,
      {d.weights, weights.data(), at(weights, NIB_PART_SCALES), at(weights, NIB_PART_ZEROS), row_bytes, d.cols},
      {d.input, input.data(), at(input, NIB_PART_INPUT_SCALES), at(input, NIB_PART_INPUT_ZEROS),
       d.input_stride != 0 ? d.input_stride : row_bytes, d.cols},
      at(weights, NIB_PART_BIAS),
      at(weights, NIB_PART_TABLE)};
  const uint32_t size = m.toCode() ? 1 : d.result_type == NIB_TYPE_F16 || d.result_type == NIB_TYPE_BF16 ? 2 : 4;
  const uint64_t stride = d.result_stride != 0 ? d.result_stride : model::roundUp(d.rows, 4 / size);
  for (uint32_t b = 0; b < batch; ++b) {
    for (uint32_t t = 0; t < c.n; ++t) {
      uint8_t* row = &result[size_t((uint64_t(b) * d.tokens + t) * stride * size)];
      for (uint32_t r = 0; r < d.rows; ++r) {
        const uint32_t held = model::loadBits(row + r * size, size);
        model::storeBits(row + r * size, size, m.element(uint64_t(b) * d.rows + r, uint64_t(b) * d.tokens + t, held));
      }
      // A shared last word is whole.
      for (uint32_t i = d.rows * size; i % 4 != 0; ++i) row[i] = 0;
    }
  }
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote beside its ranges";
  if (ranges.copy(NIB_ROLE_WEIGHTS) != weights || ranges.copy(NIB_ROLE_INPUT) != input) return "wrote what it reads";
  return firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
}

// A description of one token and one channel.
NibInt8GemmDesc one(uint32_t cols, uint32_t result_type) {
  NibInt8GemmDesc d = selftest::describe<NibInt8GemmDesc>(NIB_OP_INT8_GEMM);
  d.rows = d.tokens = 1;
  d.cols = cols;
  d.result_type = result_type;
  d.weights = d.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0);
  return d;
}

void checkMemory() {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  constexpr uint32_t kResults[] = {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16, NIB_INT8_RESULT_I8, NIB_INT8_RESULT_U8};
  forEachWeights([&](const NibWeights& w, const Extents& shape, uint64_t turn) {
    if (w.format != NIB_FORMAT_INT8 && w.format != NIB_FORMAT_UINT8) return;
    if (w.granularity == NIB_GRANULARITY_COLUMN || (w.flags & NIB_WEIGHTS_FLAT)) return;
    // Sums of more columns may pass 2^31; these are rows of the largest shapes.
    if (shape.cols > 33000 || shape.rows > (1u << 26)) return;
    NibInt8GemmDesc d = one(shape.cols, kResults[turn % 5]);
    const bool code = d.result_type >= NIB_INT8_RESULT_I8, table = code && turn % 2 != 0;
    d.flags = uint32_t(turn % 2) * NIB_PRODUCT_BIAS;
    d.rows = shape.rows;
    d.tokens = uint32_t(1 + turn % 7);
    d.batch = uint32_t(turn % 4);
    if (turn % 3 == 0) d.input_stride = (shape.cols + 3) / 4 * 4 + 8;
    if (code) d.result_scale = 1;
    if (table) d.activation = NIB_ACTIVATION_SILU, d.table_scale = 1;
    d.weights = w;
    d.input.flags = turn % 3 == 1 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) : 0u;
    const uint64_t batch = d.batch != 0 ? d.batch : 1, rows = shape.rows * batch, tokens = d.tokens * batch;
    if (rows * shape.cols > kMostElements || tokens * (uint64_t(shape.rows) + 4) > kMostElements || rows > UINT32_MAX)
      return;
    const NibMemory memory = memoryOf(d);
    const model::Layout l = model::layoutOf(rows, shape.cols, w);
    checkWeightParts(memory, l);
    uint64_t end = checkNext(memory, NIB_PART_BIAS, l.blob_bytes, d.flags != 0 ? 4 * rows : 0);
    end = checkNext(memory, NIB_PART_TABLE, end, table ? 1024 : 0);
    CHECK(memory.range[NIB_ROLE_WEIGHTS].size_bytes == end);
    const uint64_t stride = d.input_stride != 0 ? d.input_stride : model::roundUp(shape.cols, 4);
    end = checkNext(memory, NIB_PART_INPUT_SCALES, tokens * stride, 4 * tokens);
    end = checkNext(memory, NIB_PART_INPUT_ZEROS, end, d.input.flags != 0 ? model::roundUp(tokens, 4) : 0);
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == end);
    const uint64_t size = code ? 1 : d.result_type == NIB_TYPE_F32 ? 4 : 2;
    const uint64_t result = ((tokens - 1) * model::roundUp(shape.rows, 4 / size) + shape.rows) * size;
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes == model::roundUp(result, 4));
    checkAux(memory, false);
  });
}

void checkRefusals() {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  using Desc = NibInt8GemmDesc;
  Desc right = one(64, NIB_INT8_RESULT_I8);
  right.flags = NIB_PRODUCT_BIAS;
  right.rows = 6;
  right.tokens = 5;
  right.batch = 2;
  right.input_stride = 68;
  right.result_stride = 8;
  right.activation = NIB_ACTIVATION_GELU;
  right.result_scale = 0.5f;
  right.result_zero = -3;
  right.table_scale = 0.25f;
  right.table_zero = 200;
  right.weights = right.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 32);
  const auto raw = [](Desc& d) {
    d.result_type = NIB_INT8_RESULT_I32, d.flags = 0, d.activation = 0, d.result_scale = d.table_scale = 0;
    d.result_zero = d.table_zero = 0;
    d.weights = d.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0);
  };
  const auto dense = [](Desc& d) {
    d.result_type = NIB_TYPE_F16, d.result_scale = d.table_scale = 0, d.result_zero = d.table_zero = 0;
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<Wrong<Desc>> not_eight_bits;
  not_eight_bits.push_back({"input.format", kUnsupported, [](Desc& d) { d.input.format = NIB_FORMAT_NF4; }});
  // A number that no build has, and every other field of the input.
  not_eight_bits.push_back(
      {"input.format 2147483646 is not in this build", kUnsupported, [](Desc& d) { d.input.format = 0x7ffffffeu; }});
  not_eight_bits.push_back(
      {"input.granularity", kInvalid, [](Desc& d) { d.input.granularity = 4, d.input.group_size = 0; }});
  not_eight_bits.push_back({"input.group_size", kInvalid, [](Desc& d) { d.input.group_size = 8; }});
  not_eight_bits.push_back({"input.scale_type", kInvalid, [](Desc& d) { d.input.scale_type = 5; }});
  not_eight_bits.push_back({"input.flags", kInvalid, [](Desc& d) { d.input.flags = 1u << 31; }});
  not_eight_bits.push_back({"input.reserved", kInvalid, [](Desc& d) { d.input.reserved[1] = 1; }});
  expectEachRefused<Desc>(right, "int8_gemm", not_eight_bits);
  expectEachRefused<Desc>(
      right, "int8_gemm",
      plus<Desc>(wrongWeights<Desc>(),
                 {
                     {"tokens", kInvalid, [](Desc& d) { d.tokens = 0; }},
                     {"batch", kInvalid, [](Desc& d) { d.batch = 0x40000000u; }},
                     {"rows", kInvalid, [](Desc& d) { d.rows = 1u << 26; }},
                     {"flags", kInvalid, [](Desc& d) { d.flags = 4; }},
                     {"input_stride", kInvalid, [](Desc& d) { d.input_stride = 66; }},
                     {"input_stride", kInvalid, [](Desc& d) { d.input_stride = 60; }},
                     {"stride", kInvalid, [](Desc& d) { d.input_stride = 0x40000000u; }},
                     {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
                     {"result_type", kInvalid, [](Desc& d) { d.result_type = 11; }},
                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 4; }},
                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 10; }},
                     {"result_stride", kInvalid, [=](Desc& d) { dense(d), d.result_stride = 7; }},
                     {"stride", kInvalid, [](Desc& d) { d.result_stride = 0x40000000u; }},
                     {"activation", kInvalid, [](Desc& d) { d.activation = 6; }},
                     {"result_scale", kInvalid, [](Desc& d) { d.result_scale = 0; }},
                     {"result_scale", kInvalid, [=](Desc& d) { d.result_scale = nan; }},
                     {"result_scale", kInvalid, [](Desc& d) { d.result_scale = 0x1p61f; }},
                     {"result_scale", kInvalid, [=](Desc& d) { dense(d), d.result_scale = 1; }},
                     {"result_zero", kInvalid, [](Desc& d) { d.result_zero = 128; }},
                     {"result_zero", kInvalid, [](Desc& d) { d.result_type = NIB_INT8_RESULT_U8; }},
                     {"result_zero", kInvalid, [=](Desc& d) { dense(d), d.result_zero = 1; }},
                     {"table_scale", kInvalid, [](Desc& d) { d.table_scale = -1; }},
                     {"table_scale", kInvalid, [](Desc& d) { d.activation = NIB_ACTIVATION_RELU; }},
                     {"table_zero", kInvalid, [](Desc& d) { d.table_zero = 256; }},
                     {"table_zero", kInvalid, [](Desc& d) { d.activation = NIB_ACTIVATION_RELU, d.table_scale = 0; }},
                     {"result_type", kInvalid, [=](Desc& d) { raw(d), d.flags = NIB_PRODUCT_BIAS; }},
                     {"result_type", kInvalid, [=](Desc& d) { raw(d), d.activation = NIB_ACTIVATION_RELU; }},
                     {"GROUP", kInvalid,
                      [=](Desc& d) { raw(d), d.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 32); }},
                     {"weights.format", kUnsupported, [](Desc& d) { d.weights.format = NIB_FORMAT_INT4; }},
                     {"weights.granularity", kUnsupported,
                      [](Desc& d) { d.weights = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_COLUMN, 0); }},
                     {"input.granularity", kUnsupported,
                      [](Desc& d) { d.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_COLUMN, 0); }},
                     {"weights.flags", kUnsupported, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                     {"cols", kUnsupported,
                      [](Desc& d) {
                        d.weights = d.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0);
                        d.cols = d.input_stride = 131072;
                      }},
                 }));
}

}  // namespace

NIB_DEFINE_OP_TEST(int8_gemm, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("int8_gemm gives the model's bytes for every case of the shared list") {
  const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_INT8_GEMM, 0, selftest::Extent::kFull);
  // Either side of a case has one of two formats.
  const bool every = nibFormatById(NIB_FORMAT_INT8) != nullptr && nibFormatById(NIB_FORMAT_UINT8) != nullptr;
  if (every) {
    CHECK(list.size() >= 200);
  } else {
    MESSAGE("skipped: cases of int8 or uint8, which are not both in this build");
  }
  uint32_t bounded = 0;
  for (const selftest::Case& c : list) {
    const NibInt8GemmDesc& d = c.as<NibInt8GemmDesc>();
    if (d.activation >= NIB_ACTIVATION_GELU && d.result_type <= NIB_TYPE_BF16) {
      ++bounded;  // not a matter of bytes
      continue;
    }
    const std::string difference = compareWithModel(c);
    if (!difference.empty()) {
      INFO(c.name());
      CHECK(difference == "");
    }
  }
  if (every) CHECK(bounded < list.size() / 4);
}

// (1 - 3) (7 - 5) + (2 - 3) (-8 - 5) + (-128 - 3) (127 - 5) = -4 + 13 - 15982.
TEST_CASE("int8_gemm subtracts zero points exactly") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  NibInt8GemmDesc d = one(3, NIB_INT8_RESULT_I32);
  d.weights.flags = d.input.flags = NIB_WEIGHTS_ASYMMETRIC;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const int8_t x[4] = {1, 2, -128, 99}, w[4] = {7, -8, 127, 99};  // the fourth is padding
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), x, 4);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, 4);
  *ranges.part(NIB_ROLE_INPUT, NIB_PART_INPUT_ZEROS) = 3;
  *ranges.zeros() = 5;
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(int32_t(ranges.words(NIB_ROLE_OUTPUT, 0, 1)[0]) == -4 + 13 - 15982);
}

TEST_CASE("int8_gemm adds up to the largest sum that is allowed and refuses a longer row") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  // 131071 products of (-128)^2 are 2^31 - 2^14.
  NibInt8GemmDesc d = one(131071, NIB_INT8_RESULT_I32);
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  std::memset(ranges.bytes(NIB_ROLE_INPUT), 0x80, 131071);
  std::memset(ranges.bytes(NIB_ROLE_WEIGHTS), 0x80, 131071);
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  CHECK(ranges.words(NIB_ROLE_OUTPUT, 0, 1)[0] == 0x80000000u - 16384u);
  const auto refused = [](NibInt8GemmDesc desc) {
    NibMemory memory{sizeof(NibMemory)};
    return nibGetMemory(asOp(desc), nullptr, &memory) == NIB_ERROR_UNSUPPORTED;
  };
  d.cols = 131072;
  CHECK(refused(d));
  d.input.flags = NIB_WEIGHTS_NARROW;  // 127 * 128
  CHECK(!refused(d));
  d.cols = 132105;
  CHECK(refused(d));
  d.weights.flags = d.input.flags = NIB_WEIGHTS_ASYMMETRIC;  // 255 * 255
  d.cols = 33025;
  CHECK(!refused(d));
  d.cols = 33026;
  CHECK(refused(d));
  d.result_type = NIB_TYPE_F32;
  d.weights.granularity = NIB_GRANULARITY_GROUP;
  d.weights.group_size = 128;
  CHECK(!refused(d));
}

TEST_CASE("the table of an activation holds its values at the codes") {
  NibInt8GemmDesc d = one(4, NIB_INT8_RESULT_U8);
  d.activation = NIB_ACTIVATION_SILU;
  d.result_scale = 1;
  d.table_scale = 0.5f;
  d.table_zero = 100;
  float table[256];
  REQUIRE(nibFillActivationTable(&d, table) == NIB_SUCCESS);
  CHECK(table[100] == 0);
  CHECK(table[102] == doctest::Approx(1 / (1 + std::exp(-1.0))));
  CHECK(table[0] == doctest::Approx(-50 / (1 + std::exp(50.0))));
  d.activation = NIB_ACTIVATION_RELU;
  CHECK(nibFillActivationTable(&d, table) == NIB_ERROR_INVALID_ARGUMENT);
  d.activation = NIB_ACTIVATION_GELU;
  d.result_type = NIB_TYPE_F32;
  CHECK(nibFillActivationTable(&d, table) == NIB_ERROR_INVALID_ARGUMENT);
  CHECK(nibFillActivationTable(&d, nullptr) == NIB_ERROR_INVALID_ARGUMENT);
}
