// Products that quantize their tokens, against their definition: the model's codes of the tokens (model_ops.h), and the
// model's product of those (code_product_model.h).
#include <nibble/formats.h>

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
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

NibDynamicGemmDesc dynamicDesc(uint32_t rows, uint32_t cols, uint32_t tokens, const NibWeights& w) {
  NibDynamicGemmDesc d = selftest::describe<NibDynamicGemmDesc>(NIB_OP_DYNAMIC_GEMM);
  d.rows = rows;
  d.cols = cols;
  d.tokens = tokens;
  d.weights = w;
  return d;
}

// Returns the first elements of each token that reach the threshold, in ascending columns, and zeroes them in `source`.
std::vector<std::vector<Outlier>> takeOutliers(const NibDynamicGemmDesc& d, uint32_t n, model::Bytes& source,
                                               uint32_t* count) {
  std::vector<std::vector<Outlier>> outliers(n);
  if (d.outlier_threshold == 0) return {};
  const uint32_t most = d.max_outliers != 0 ? d.max_outliers : d.cols;
  const uint64_t stride = d.source_stride != 0 ? d.source_stride : d.cols, size = model::sizeOf(d.source_type);
  for (uint32_t t = 0; t < n; ++t) {
    bool finite = true;
    for (uint32_t col = 0; col < d.cols; ++col)
      finite &= std::isfinite(model::load(source.data(), d.source_type, t * stride + col));
    for (uint32_t col = 0; finite && col < d.cols && outliers[t].size() < most; ++col) {
      const double x = model::load(source.data(), d.source_type, t * stride + col);
      if (std::fabs(x) < double(d.outlier_threshold)) continue;
      outliers[t].push_back({col, x});
      std::memset(&source[size_t((t * stride + col) * size)], 0, size_t(size));
    }
    *count += uint32_t(outliers[t].size());
  }
  return outliers;
}

// The same for a product that quantizes: the model's codes of the tokens, and the model's product of those.
std::string compareWithModel(const selftest::Case& c) {
  const NibDynamicGemmDesc& d = c.as<NibDynamicGemmDesc>();
  Ranges ranges(c.desc());
  if (!ranges.valid()) return "refused";
  prepare(c, ranges);
  const model::Bytes blob = ranges.copy(NIB_ROLE_WEIGHTS), source = ranges.copy(NIB_ROLE_INPUT);
  model::Bytes result = ranges.copy(NIB_ROLE_OUTPUT);
  model::Bytes rest = source;  // without the outliers
  NibStatus status{};
  const std::vector<std::vector<Outlier>> outliers = takeOutliers(d, c.n, rest, &status.outlier_count);

  NibQuantizeDesc q = quantizeDesc(d.tokens, d.cols, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, d.input_flags),
                                   NibType(d.source_type));
  q.source_stride = d.source_stride;
  const model::Layout layout = model::layoutOf(d.tokens, d.cols, q.weights);
  model::Bytes input(size_t(layout.blob_bytes));
  model::quantize(q, rest.data(), c.n, input, &status);

  NibInt8GemmDesc p = selftest::describe<NibInt8GemmDesc>(NIB_OP_INT8_GEMM);
  p.flags = d.flags;
  p.rows = d.rows;
  p.cols = d.cols;
  p.tokens = d.tokens;
  p.result_type = d.result_type;
  p.activation = d.activation;
  p.weights = d.weights;
  p.input = q.weights;
  const auto at = [&](NibPart part) { return blob.data() + ranges.memory.part[part].offset_bytes; };
  const bool nibbles = d.weights.format == NIB_FORMAT_INT4 || d.weights.format == NIB_FORMAT_UINT4;
  const CodeProduct m{p,
                      {p.weights, blob.data(), at(NIB_PART_SCALES), at(NIB_PART_ZEROS),
                       nibbles ? model::roundUp(d.cols, 8) / 2 : model::roundUp(d.cols, 4), d.cols},
                      {p.input, input.data(), input.data() + layout.scales_offset, input.data() + layout.zeros_offset,
                       layout.row_bytes, d.cols},
                      at(NIB_PART_BIAS),
                      nullptr,
                      outliers};
  const uint32_t size = model::sizeOf(d.result_type);
  const uint64_t stride = d.result_stride != 0 ? d.result_stride : model::roundUp(d.rows, 4 / size);
  for (uint32_t t = 0; t < c.n; ++t) {
    uint8_t* row = &result[size_t(t * stride * size)];
    for (uint32_t r = 0; r < d.rows; ++r) {
      model::storeBits(row + r * size, size, m.element(r, t, model::loadBits(row + r * size, size)));
    }
    for (uint32_t i = d.rows * size; i % 4 != 0; ++i) row[i] = 0;
  }
  if (ranges.run(c.n) != NIB_SUCCESS) return "failed";
  if (!ranges.guardsHold()) return "wrote beside its ranges";
  if (ranges.copy(NIB_ROLE_WEIGHTS) != blob || ranges.copy(NIB_ROLE_INPUT) != source) return "wrote what it reads";
  if ((d.flags & NIB_PRODUCT_STATUS) && std::memcmp(ranges.bytes(NIB_ROLE_AUX), &status, sizeof status) != 0)
    return "status";
  return firstDifference(ranges.bytes(NIB_ROLE_OUTPUT), result.data(), result.size());
}

void checkMemory() {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);  // the tokens' codes
  forEachWeights([&](const NibWeights& w, const Extents& shape, uint64_t turn) {
    const uint32_t bits = nibFormatById(w.format)->bits;
    const bool codes = w.format == NIB_FORMAT_INT8 || w.format == NIB_FORMAT_UINT8 || w.format == NIB_FORMAT_INT4 ||
                       w.format == NIB_FORMAT_UINT4;
    if (!codes || w.granularity == NIB_GRANULARITY_COLUMN || (w.flags & NIB_WEIGHTS_FLAT)) return;
    if (bits == 4 && (w.flags & NIB_WEIGHTS_NARROW)) return;
    if (shape.cols > 33000 || shape.rows > (1u << 26)) return;
    const uint64_t tokens = 1 + turn % 7;
    if (tokens * (uint64_t(shape.rows) + 4) > kMostElements) return;
    NibDynamicGemmDesc d = dynamicDesc(shape.rows, shape.cols, uint32_t(tokens), w);
    d.flags = uint32_t(turn % 2) * NIB_PRODUCT_BIAS | (turn % 3 == 0 ? uint32_t(NIB_PRODUCT_STATUS) : 0u);
    d.source_type = uint32_t(turn % 3);
    d.result_type = uint32_t(turn / 3 % 3);
    if (turn % 4 == 0) d.source_stride = shape.cols + 5;
    const NibMemory memory = memoryOf(d);
    const model::Layout l = model::layoutOf(shape.rows, shape.cols, w);
    checkWeightParts(memory, l);
    const bool bias = (d.flags & NIB_PRODUCT_BIAS) != 0;
    CHECK(checkNext(memory, NIB_PART_BIAS, l.blob_bytes, bias ? 4 * uint64_t(shape.rows) : 0) ==
          memory.range[NIB_ROLE_WEIGHTS].size_bytes);
    const uint64_t stride = d.source_stride != 0 ? d.source_stride : shape.cols;
    CHECK(memory.range[NIB_ROLE_INPUT].size_bytes == denseBytes(tokens, shape.cols, stride, d.source_type));
    CHECK(memory.range[NIB_ROLE_OUTPUT].size_bytes ==
          denseBytes(tokens, shape.rows, evenStride(shape.rows, d.result_type), d.result_type));
    checkAux(memory, (d.flags & NIB_PRODUCT_STATUS) != 0);
    // At least the tokens' codes.
    CHECK(memory.part[NIB_PART_SCRATCH].size_bytes >= tokens * shape.cols);
  });
}

void checkRefusals() {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);  // the tokens' codes
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  using Desc = NibDynamicGemmDesc;
  Desc right = dynamicDesc(6, 64, 5, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32));
  right.flags = NIB_PRODUCT_BIAS;
  right.source_type = NIB_TYPE_F16;
  right.source_stride = 66;
  right.result_type = NIB_TYPE_BF16;
  right.result_stride = 8;
  right.activation = NIB_ACTIVATION_RELU;
  right.input_flags = NIB_WEIGHTS_ASYMMETRIC;
  expectEachRefused<Desc>(
      right, "dynamic_gemm",
      plus<Desc>(
          wrongWeights<Desc>(),
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

}  // namespace

NIB_DEFINE_OP_TEST(dynamic_gemm, .memory = checkMemory, .refusals = checkRefusals)

TEST_CASE("dynamic_gemm gives the model's bytes for every case of the shared list") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);  // the tokens' codes
  for (const uint32_t format : {NIB_FORMAT_INT8, NIB_FORMAT_UINT8, NIB_FORMAT_INT4, NIB_FORMAT_UINT4}) {
    if (nibFormatById(format) == nullptr) {
      MESSAGE("skipped: format ", format, " is not in this build");
      continue;
    }
    const std::vector<selftest::Case> list = selftest::casesOf(NIB_OP_DYNAMIC_GEMM, format, selftest::Extent::kFull);
    CHECK(list.size() >= 90);
    for (const selftest::Case& c : list) {
      const NibDynamicGemmDesc& d = c.as<NibDynamicGemmDesc>();
      if (d.activation >= NIB_ACTIVATION_GELU) continue;  // not a matter of bytes
      const std::string difference = compareWithModel(c);
      if (!difference.empty()) {
        INFO(c.name());
        CHECK(difference == "");
      }
    }
  }
}

// Codes 64 (from 63.5), 0, -127 and 32 of 2/127 each; 64 * 1 + -127 * 3 + 32 * 4 = -189. The outlier is 8 * (2 * 0.5).
TEST_CASE("dynamic_gemm multiplies outliers in fp32 and keeps them out of the scale") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);
  NibDynamicGemmDesc d = dynamicDesc(1, 4, 1, weights(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0));
  d.flags = NIB_PRODUCT_STATUS;
  d.input_flags = NIB_WEIGHTS_NARROW;
  d.outlier_threshold = 6;
  Ranges ranges(asOp(d));
  REQUIRE(ranges.valid());
  const float x[4] = {1, 8, -2, 0.5f}, scale = 0.5f;
  const int8_t w[4] = {1, 2, 3, 4};
  std::memcpy(ranges.bytes(NIB_ROLE_INPUT), x, sizeof x);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS), w, sizeof w);
  std::memcpy(ranges.bytes(NIB_ROLE_WEIGHTS) + ranges.memory.part[NIB_PART_SCALES].offset_bytes, &scale, sizeof scale);
  std::memset(ranges.bytes(NIB_ROLE_AUX), 0, sizeof(NibStatus));
  REQUIRE(ranges.run(1) == NIB_SUCCESS);
  float y;
  std::memcpy(&y, ranges.bytes(NIB_ROLE_OUTPUT), sizeof y);
  CHECK(double(y) == doctest::Approx(-189 * (2.0 / 127) * 0.5 + 8).epsilon(1e-6));
  NibStatus status;
  std::memcpy(&status, ranges.bytes(NIB_ROLE_AUX), sizeof status);
  CHECK(status.outlier_count == 1);
  CHECK(status.nonfinite_count == 0);
}

TEST_CASE("a token's result does not depend on its neighbours, outliers or not") {
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT8);  // the tokens' codes
  NIB_GOLDEN_NEEDS(NIB_FORMAT_INT4);
  constexpr uint32_t kRows = 9, kCols = 70, kTokens = 6;
  for (const uint32_t most : {0u, 2u}) {
    NibDynamicGemmDesc d = dynamicDesc(kRows, kCols, kTokens, weights(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32));
    d.outlier_threshold = 6;
    d.max_outliers = most;
    Ranges all(asOp(d));
    REQUIRE(all.valid());
    selftest::Case c;
    c.set(d);
    c.seed = 3;
    c.recipe = selftest::Recipe::kNormal;
    c.n = kTokens;
    const selftest::Images images = selftest::makeImages(c, all.memory);
    std::memcpy(all.bytes(NIB_ROLE_WEIGHTS), images.role[NIB_ROLE_WEIGHTS].data(), all.size(NIB_ROLE_WEIGHTS));
    std::vector<float> x(kTokens * kCols);
    std::memcpy(x.data(), images.role[NIB_ROLE_INPUT].data(), x.size() * 4);
    x[2 * kCols + 7] = 20, x[2 * kCols + 69] = -9, x[4 * kCols] = 7, x[4 * kCols + 7] = 6, x[4 * kCols + 8] = 60;
    std::memcpy(all.bytes(NIB_ROLE_INPUT), x.data(), x.size() * 4);
    REQUIRE(all.run(kTokens) == NIB_SUCCESS);
    d.tokens = 1;
    for (uint32_t t = 0; t < kTokens; ++t) {
      Ranges one(asOp(d));
      REQUIRE(one.valid());
      std::memcpy(one.bytes(NIB_ROLE_WEIGHTS), images.role[NIB_ROLE_WEIGHTS].data(), one.size(NIB_ROLE_WEIGHTS));
      std::memcpy(one.bytes(NIB_ROLE_INPUT), &x[t * kCols], kCols * 4);
      REQUIRE(one.run(1) == NIB_SUCCESS);
      CHECK(firstDifference(one.bytes(NIB_ROLE_OUTPUT), all.bytes(NIB_ROLE_OUTPUT) + t * kRows * 4, kRows * 4) == "");
    }
  }
}
