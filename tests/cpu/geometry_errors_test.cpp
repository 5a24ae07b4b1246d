// Every field of every description, wrong once: the documented code, exactly one line that names the field, and nothing
// touched.
#include <doctest/doctest.h>
#include <nibble/formats.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "run_op.h"

using namespace nib;
using namespace nib::tests;

namespace {

// Both entry points refuse alike: nibGetMemory, and nibCpuRun before it looks at the binding.
void expectRefused(const NibOpDesc* desc, NibResult code, const std::string& op, const std::string& field) {
  INFO(op, ", ", field);
  LogLines lines;
  const NibLog log = lines.log();
  NibMemory memory, before;
  std::memset(&memory, 0x5a, sizeof memory);
  std::memset(&before, 0x5a, sizeof before);
  CHECK(nibGetMemory(desc, &log, &memory) == code);
  CHECK(std::memcmp(&memory, &before, sizeof memory) == 0);
  REQUIRE(lines.lines.size() == 1);
  const std::string line = lines.lines[0];
  INFO(line);
  CHECK(line.find(field) != std::string::npos);
  CHECK(line.rfind(op, 0) == 0);
  CHECK(line.find('\n') == std::string::npos);
  CHECK(nibGetMemory(desc, nullptr, &memory) == code);

  std::vector<uint32_t> storage(64, 0xa5a5a5a5u);
  NibCpuBinding binding{};
  for (NibCpuRange& range : binding.range) range = {storage.data(), storage.size() * 4};
  CHECK(nibCpuRun(desc, &binding, 1, nullptr, &log) == code);
  CHECK(lines.lines.size() == 2);
  CHECK(storage == std::vector<uint32_t>(64, 0xa5a5a5a5u));
}

template <class Desc>
struct Wrong {
  const char* field;
  NibResult code;
  std::function<void(Desc&)> spoil;
};

// The description is right before it is spoilt.
template <class Desc>
void expectEachRefused(const Desc& right, const char* op, const std::vector<Wrong<Desc>>& list) {
  NibMemory memory;
  REQUIRE(nibGetMemory(asOp(right), nullptr, &memory) == NIB_SUCCESS);
  for (const Wrong<Desc>& wrong : list) {
    Desc desc = right;
    wrong.spoil(desc);
    expectRefused(asOp(desc), wrong.code, op, wrong.field);
  }
}

constexpr NibResult kInvalid = NIB_ERROR_INVALID_ARGUMENT, kUnsupported = NIB_ERROR_UNSUPPORTED;

// What quantize and dequantize have in common. The right description has groups of 32.
template <class Desc>
std::vector<Wrong<Desc>> wrongWeights() {
  return {
      {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
      {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
      {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
      {"rows", kInvalid, [](Desc& d) { d.rows = 2, d.cols = 0x80000000u; }},
      {"flags", kInvalid, [](Desc& d) { d.flags = 1u << 31; }},
      {"weights.format", kUnsupported, [](Desc& d) { d.weights.format = 0; }},
      {"weights.format", kUnsupported, [](Desc& d) { d.weights.format = 0x7ffffffeu; }},
      {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = 4, d.weights.group_size = 0; }},
      {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = UINT32_MAX, d.weights.group_size = 0; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 8; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 1; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 24; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 100; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 272; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 512; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = UINT32_MAX - 1; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.granularity = NIB_GRANULARITY_ROW; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.granularity = NIB_GRANULARITY_TENSOR; }},
      {"weights.group_size", kInvalid, [](Desc& d) { d.weights.granularity = NIB_GRANULARITY_COLUMN; }},
      {"weights.scale_type", kUnsupported, [](Desc& d) { d.weights.scale_type = NIB_TYPE_E8M0; }},
      {"weights.scale_type", kInvalid, [](Desc& d) { d.weights.scale_type = 4; }},
      {"weights.scale_type", kInvalid, [](Desc& d) { d.weights.scale_type = UINT32_MAX; }},
      {"weights.flags", kInvalid, [](Desc& d) { d.weights.flags = 16; }},
      {"weights.flags", kInvalid, [](Desc& d) { d.weights.flags = 0x80000000u; }},
      {"weights.flags", kInvalid,
       [](Desc& d) {
         d.weights.granularity = NIB_GRANULARITY_ROW, d.weights.group_size = 0, d.weights.flags = NIB_WEIGHTS_FLAT;
       }},
  };
}

template <class Desc>
std::vector<Wrong<Desc>> plus(std::vector<Wrong<Desc>> list, const std::vector<Wrong<Desc>>& more) {
  list.insert(list.end(), more.begin(), more.end());
  return list;
}

}  // namespace

TEST_CASE("quantize names each field that is wrong") {
  using Desc = NibQuantizeDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    const Desc right{
        NIB_OP_QUANTIZE, 0, 4, 64, NIB_TYPE_F16, 66, weights(info->format, NIB_GRANULARITY_GROUP, 32)};
    expectEachRefused(right, "quantize",
                      plus<Desc>(wrongWeights<Desc>(),
                                 {
                                     {"flags", kInvalid, [](Desc& d) { d.flags = 4; }},
                                     {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                                     {"source_type", kInvalid, [](Desc& d) { d.source_type = UINT32_MAX; }},
                                     {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                                     {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
                                     {"source_stride", kInvalid, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                                 }));
  }
}

TEST_CASE("dequantize names each field that is wrong") {
  using Desc = NibDequantizeDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    const Desc right{
        NIB_OP_DEQUANTIZE, 0, 4, 64, NIB_TYPE_BF16, 66, weights(info->format, NIB_GRANULARITY_GROUP, 32)};
    expectEachRefused(right, "dequantize",
                      plus<Desc>(wrongWeights<Desc>(),
                                 {
                                     {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                                     {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 0x40000000u; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                                 }));
  }
}

TEST_CASE("gather names each field that is wrong") {
  using Desc = NibGatherDesc;
  for (const NibFormatInfo* info : scaledFormats()) {
    const Desc right{NIB_OP_GATHER, 0, 4, 64, 9, NIB_TYPE_BF16, 66, weights(info->format, NIB_GRANULARITY_GROUP, 32)};
    expectEachRefused(right, "gather",
                      plus<Desc>(wrongWeights<Desc>(),
                                 {
                                     {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                                     {"count", kInvalid, [](Desc& d) { d.count = 0; }},
                                     {"count", kInvalid, [](Desc& d) { d.count = 1u << 26; }},
                                     {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
                                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65; }},
                                     {"cols", kUnsupported,
                                      [](Desc& d) {
                                        d.weights.flags = NIB_WEIGHTS_FLAT, d.cols = 80, d.result_stride = 80;
                                      }},
                                 }));
  }
}

TEST_CASE("int8_gemm names each field that is wrong") {
  using Desc = NibInt8GemmDesc;
  Desc right{};
  right.op = NIB_OP_INT8_GEMM;
  right.flags = NIB_PRODUCT_BIAS;
  right.rows = 6;
  right.cols = 64;
  right.tokens = 5;
  right.batch = 2;
  right.input_stride = 68;
  right.result_type = NIB_INT8_RESULT_I8;
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
  const auto dense = [](Desc& d) { d.result_type = NIB_TYPE_F16, d.result_scale = d.table_scale = 0, d.result_zero = d.table_zero = 0; };
  const float nan = std::numeric_limits<float>::quiet_NaN();
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
                     {"GROUP", kInvalid, [=](Desc& d) { raw(d), d.input = weights(NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 32); }},
                     {"weights.format", kUnsupported, [](Desc& d) { d.weights.format = NIB_FORMAT_INT4; }},
                     {"input.format", kUnsupported, [](Desc& d) { d.input.format = NIB_FORMAT_NF4; }},
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

TEST_CASE("dynamic_gemm names each field that is wrong") {
  using Desc = NibDynamicGemmDesc;
  const Desc right{NIB_OP_DYNAMIC_GEMM, NIB_PRODUCT_BIAS, 6, 64, 5, NIB_TYPE_F16, 66, NIB_TYPE_BF16, 8,
                   NIB_ACTIVATION_RELU, NIB_WEIGHTS_ASYMMETRIC, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32)};
  expectEachRefused<Desc>(
      right, "dynamic_gemm",
      plus<Desc>(wrongWeights<Desc>(),
                 {
                     {"tokens", kInvalid, [](Desc& d) { d.tokens = 0; }},
                     {"flags", kInvalid, [](Desc& d) { d.flags = 4; }},
                     {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                     {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                     {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
                     {"result_type", kInvalid, [](Desc& d) { d.result_type = NIB_INT8_RESULT_I32; }},
                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 7; }},
                     {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 4; }},
                     {"activation", kInvalid, [](Desc& d) { d.activation = 6; }},
                     {"input_flags", kInvalid, [](Desc& d) { d.input_flags = NIB_WEIGHTS_FLAT; }},
                     {"input_flags", kInvalid, [](Desc& d) { d.input_flags = NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW; }},
                     {"input_flags", kUnsupported, [](Desc& d) { d.outlier_threshold = 6; }},
                     {"outlier_threshold", kInvalid, [](Desc& d) { d.outlier_threshold = -6; }},
                     {"outlier_threshold", kInvalid, [](Desc& d) { d.outlier_threshold = std::nanf(""); }},
                     {"outlier_threshold", kInvalid, [](Desc& d) { d.outlier_threshold = 0x1p61f; }},
                     {"max_outliers", kInvalid, [](Desc& d) { d.max_outliers = 1; }},
                     {"max_outliers", kInvalid,
                      [](Desc& d) {
                        d.input_flags = 0;
                        d.outlier_threshold = 6;
                        d.max_outliers = 65;
                      }},
                     {"max_outliers", kInvalid,
                      [](Desc& d) {
                        d.input_flags = 0;
                        d.outlier_threshold = 6;
                        d.source_stride = 0;
                        d.rows = 1;
                        d.result_stride = 0;
                        d.tokens = 1u << 25;
                      }},
                     {"weights.format", kUnsupported,
                      [](Desc& d) { d.weights = weights(NIB_FORMAT_NF4, NIB_GRANULARITY_GROUP, 64); }},
                     {"weights.flags", kUnsupported, [](Desc& d) { d.weights.flags = NIB_WEIGHTS_FLAT; }},
                 }));
}

TEST_CASE("matmul names each field that is wrong") {
  using Desc = NibMatmulDesc;
  const auto coded = [](Desc& d, uint32_t format, NibGranularity granularity, uint32_t group, uint32_t flags = 0) {
    d.input_stride = 0;
    d.input = weights(format, granularity, group, flags);
  };
  const std::vector<Wrong<Desc>> wrong = {
      {"flags", kInvalid, [](Desc& d) { d.flags = 8; }},
      {"input.granularity", kInvalid, [](Desc& d) { d.input.granularity = 1; }},
      {"group_size", kInvalid, [](Desc& d) { d.input.group_size = 32; }},
      {"scale_type", kInvalid, [](Desc& d) { d.input.scale_type = 1; }},
      {"flags", kInvalid, [](Desc& d) { d.input.flags = 1; }},
      {"input.format", kUnsupported, [=](Desc& d) { coded(d, NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0); }},
      {"input.format", kUnsupported, [=](Desc& d) { coded(d, 999, NIB_GRANULARITY_ROW, 0); }},
  };
  const std::vector<Wrong<Desc>> wrong_codes = {
      {"input_type", kInvalid, [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input_type = 3; }},
      {"input_stride", kInvalid,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input_stride = 64; }},
      {"input.granularity", kUnsupported, [=](Desc& d) { coded(d, NIB_FORMAT_FP8_E5M2, NIB_GRANULARITY_COLUMN, 0); }},
      {"input: weights.granularity", kInvalid,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input.granularity = 4; }},
      {"input: weights.group_size", kInvalid, [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 32); }},
      {"input: weights.group_size", kInvalid, [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_GROUP, 17); }},
      {"input: weights.scale_type", kInvalid,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0), d.input.scale_type = 4; }},
      {"input.flags", kUnsupported,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_FLAT); }},
      {"input: weights.flags", kUnsupported,
       [=](Desc& d) { coded(d, NIB_FORMAT_FP8, NIB_GRANULARITY_ROW, 0, NIB_WEIGHTS_NARROW); }},
  };
  const std::vector<Wrong<Desc>> wrong_sides = {
      {"activation", kInvalid, [](Desc& d) { d.activation = 6; }},
      {"rows, cols and tokens", kInvalid, [](Desc& d) { d.tokens = 0; }},
      {"matrices", kInvalid, [](Desc& d) { d.batch = 1u << 27; }},
      {"tokens", kInvalid, [](Desc& d) { d.tokens = 1u << 26; }},
      {"input_type", kInvalid, [](Desc& d) { d.input_type = 3; }},
      {"input_stride", kInvalid, [](Desc& d) { d.input_stride = 63; }},
      {"result_type", kInvalid, [](Desc& d) { d.result_type = 3; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 2; }},
      {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 5; }},
  };
  Desc right{};
  right.op = NIB_OP_MATMUL;
  right.rows = 4;
  right.cols = 64;
  right.tokens = 9;
  right.input_type = NIB_TYPE_F16;
  right.input_stride = 66;
  right.result_type = NIB_TYPE_BF16;
  right.result_stride = 6;
  for (const NibFormatInfo* info : scaledFormats()) {
    right.weights = weights(info->format, NIB_GRANULARITY_GROUP, 32);
    expectEachRefused(right, "matmul", wrong);
    expectEachRefused(right, "matmul", wrong_sides);
    expectEachRefused(right, "matmul", {{"weights.group_size", kInvalid, [](Desc& d) { d.weights.group_size = 17; }},
                                        {"weights.format", kUnsupported, [](Desc& d) { d.weights.format = 999; }},
                                        {"cols", kUnsupported, [](Desc& d) {
                                           d.weights.flags = NIB_WEIGHTS_FLAT, d.cols = 80, d.input_stride = 80;
                                         }}});
  }
  right.weights = {NIB_FORMAT_DENSE, 0, 0, NIB_TYPE_F16, 0};
  expectEachRefused(right, "matmul", wrong);
  expectEachRefused(right, "matmul", wrong_sides);
  if (nibFormatById(NIB_FORMAT_FP8) != nullptr && nibFormatById(NIB_FORMAT_FP8_E5M2) != nullptr) {
    expectEachRefused(right, "matmul", wrong_codes);
  }
  expectEachRefused(right, "matmul", {{"weights.scale_type", kInvalid, [](Desc& d) { d.weights.scale_type = NIB_TYPE_E8M0; }},
                                      {"weights.granularity", kInvalid, [](Desc& d) { d.weights.granularity = 1; }},
                                      {"group_size", kInvalid, [](Desc& d) { d.weights.group_size = 32; }},
                                      {"flags", kInvalid, [](Desc& d) { d.weights.flags = 1; }}});
}

TEST_CASE("minmax names each field that is wrong") {
  using Desc = NibMinMaxDesc;
  const Desc right{NIB_OP_MINMAX, 0, 4, 64, NIB_TYPE_F32, 66, NIB_GRANULARITY_ROW};
  expectEachRefused<Desc>(right, "minmax",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = d.source_stride = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_GROUP; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = 4; }},
                          });
}

TEST_CASE("histogram names each field that is wrong") {
  using Desc = NibHistogramDesc;
  const Desc right{NIB_OP_HISTOGRAM, NIB_HISTOGRAM_SIGNED, 4, 64, NIB_TYPE_F32, 66, NIB_GRANULARITY_ROW, 2048};
  expectEachRefused<Desc>(right, "histogram",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = d.source_stride = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 4; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_GROUP; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 0; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 64; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 1000; }},
                              {"bins", kInvalid, [](Desc& d) { d.bins = 8192; }},
                              {"bins", kInvalid, [](Desc& d) { d.rows = 1u << 20, d.cols = d.source_stride = 1; }},
                          });
}

TEST_CASE("moments names each field that is wrong") {
  using Desc = NibMomentsDesc;
  const Desc right{NIB_OP_MOMENTS, 0, 4, 64, NIB_TYPE_F32, 66, NIB_GRANULARITY_COLUMN};
  expectEachRefused<Desc>(right, "moments",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = 3; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"granularity", kInvalid, [](Desc& d) { d.granularity = NIB_GRANULARITY_ROW; }},
                          });
}

TEST_CASE("convert names each field that is wrong") {
  using Desc = NibConvertDesc;
  const Desc right{NIB_OP_CONVERT, 0, 4, 64, NIB_TYPE_F32, 67, NIB_TYPE_F16, 66};
  expectEachRefused<Desc>(right, "convert",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 4; }},
                              {"source_type", kInvalid, [](Desc& d) { d.source_type = NIB_TYPE_E8M0; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 63; }},
                              {"source_stride", kInvalid, [](Desc& d) { d.source_stride = 0x40000000u; }},
                              {"result_type", kInvalid, [](Desc& d) { d.result_type = NIB_TYPE_E8M0; }},
                              {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 62; }},
                              {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 65; }},
                              {"result_stride", kInvalid, [](Desc& d) { d.result_stride = 0x40000000u; }},
                          });
}

TEST_CASE("errors names each field that is wrong") {
  using Desc = NibErrorsDesc;
  const Desc right{NIB_OP_ERRORS, 0, 4, 64, NIB_TYPE_F32, 66, NIB_TYPE_F16, 65};
  expectEachRefused<Desc>(right, "errors",
                          {
                              {"rows", kInvalid, [](Desc& d) { d.rows = 0; }},
                              {"cols", kInvalid, [](Desc& d) { d.cols = 0; }},
                              {"rows", kInvalid, [](Desc& d) { d.rows = d.cols = 65536; }},
                              {"flags", kInvalid, [](Desc& d) { d.flags = 1; }},
                              {"reference_type", kInvalid, [](Desc& d) { d.reference_type = NIB_TYPE_E8M0; }},
                              {"reference_stride", kInvalid, [](Desc& d) { d.reference_stride = 63; }},
                              {"reference_stride", kInvalid, [](Desc& d) { d.reference_stride = 0x40000000u; }},
                              {"candidate_type", kInvalid, [](Desc& d) { d.candidate_type = NIB_TYPE_E8M0; }},
                              {"candidate_stride", kInvalid, [](Desc& d) { d.candidate_stride = 63; }},
                              {"candidate_stride", kInvalid, [](Desc& d) { d.candidate_stride = 0x40000000u; }},
                          });
}

TEST_CASE("formats refuse the modes they do not have") {
  for (const NibFormatInfo* info : scaledFormats()) {
    for (const uint32_t flag :
         {uint32_t(NIB_WEIGHTS_ASYMMETRIC), uint32_t(NIB_WEIGHTS_NARROW), uint32_t(NIB_WEIGHTS_FLAT)}) {
      const NibQuantizeDesc d = quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 64, flag));
      NibMemory memory;
      if ((info->weights_flags & flag) != 0) {
        CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
      } else {
        expectRefused(asOp(d), kUnsupported, "quantize", "weights.flags");
      }
    }
    const uint32_t both = NIB_WEIGHTS_ASYMMETRIC | NIB_WEIGHTS_NARROW;
    if ((info->weights_flags & both) == both) {
      const NibQuantizeDesc d = quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_ROW, 0, both));
      expectRefused(asOp(d), kInvalid, "quantize", "weights.flags");
    }
    // A group size of 0 is the format's usual one, and an error where there is none.
    const NibQuantizeDesc usual = quantizeDesc(4, 64, weights(info->format, NIB_GRANULARITY_GROUP, 0));
    NibMemory memory;
    if (info->default_group_size != 0) {
      CHECK(nibGetMemory(asOp(usual), nullptr, &memory) == NIB_SUCCESS);
    } else {
      expectRefused(asOp(usual), kInvalid, "quantize", "weights.group_size");
    }
  }
}

TEST_CASE("an odd stride of a 16-bit result is refused only where a second row would not start on a word") {
  if (nibFormatById(NIB_FORMAT_INT4) == nullptr) return;
  NibDequantizeDesc d = dequantizeDesc(1, 7, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_ROW, 0), NIB_TYPE_F16);
  d.result_stride = 7;
  NibMemory memory;
  CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
  d.rows = 2;
  CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_ERROR_INVALID_ARGUMENT);
  d.result_type = NIB_TYPE_F32;
  CHECK(nibGetMemory(asOp(d), nullptr, &memory) == NIB_SUCCESS);
}

TEST_CASE("an op that this build lacks is unsupported, and NULL is an error") {
  for (const uint32_t op : {0u, 1000u, 0x7fffffffu, UINT32_MAX}) {
    const NibOpDesc desc{op};
    expectRefused(&desc, kUnsupported, "desc.op", "op");
  }
  LogLines lines;
  const NibLog log = lines.log();
  NibMemory memory;
  CHECK(nibGetMemory(nullptr, &log, &memory) == kInvalid);
  const NibMinMaxDesc d{NIB_OP_MINMAX, 0, 1, 1, NIB_TYPE_F32, 0, NIB_GRANULARITY_ROW};
  CHECK(nibGetMemory(asOp(d), &log, nullptr) == kInvalid);
  CHECK(lines.lines.size() == 2);
  // A log without a function is silent.
  const NibLog silent{};
  CHECK(nibGetMemory(nullptr, &silent, &memory) == kInvalid);
}
