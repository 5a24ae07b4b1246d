#include "int8_cases.h"

#include <nibble/formats.h>

#include <algorithm>

namespace nib::cases {
namespace {

struct Shape {
  uint32_t rows, tokens, cols;
};

// Tails in every dimension, several tiles in every dimension for every way of cutting them, few tokens, one of anything.
constexpr Shape kShapes[] = {{261, 17, 130}, {1, 1, 1},     {66, 131, 272}, {3, 2, 5},     {64, 64, 64},  {37, 9, 3},
                             {257, 1, 1040}, {130, 70, 36}, {96, 8, 529},   {20, 33, 2064}, {132, 5, 512}, {7, 40, 100}};
// Of dynamic products: a quick list has every other one for a format, and few tokens belong to both halves.
constexpr uint32_t kDynamicOrder[] = {0, 1, 2, 3, 4, 6, 5, 7, 9, 8, 10, 11};

struct Sharing {
  NibGranularity granularity;
  uint32_t group;
};
constexpr Sharing kSharings[] = {{NIB_GRANULARITY_ROW, 0},     {NIB_GRANULARITY_GROUP, 32}, {NIB_GRANULARITY_TENSOR, 0},
                                 {NIB_GRANULARITY_GROUP, 128}, {NIB_GRANULARITY_ROW, 0},    {NIB_GRANULARITY_GROUP, 48}};

NibWeights sideOf(Random& random, bool grouped) {
  NibWeights w{};
  w.format = random.below(3) == 0 ? NIB_FORMAT_UINT8 : NIB_FORMAT_INT8;
  Sharing sharing = kSharings[random.below(6)];
  if (!grouped && sharing.granularity == NIB_GRANULARITY_GROUP) sharing = kSharings[0];
  w.granularity = sharing.granularity;
  w.group_size = sharing.group;
  w.scale_type = random.below(3);
  const uint32_t mode = random.below(5);
  w.flags = mode < 2 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) : mode == 2 ? uint32_t(NIB_WEIGHTS_NARROW) : 0u;
  return w;
}

Case caseOf(const Shape& shape, uint64_t seed, uint32_t turn) {
  constexpr uint32_t kResults[] = {NIB_TYPE_F32, NIB_INT8_RESULT_I8, NIB_TYPE_F16,
                                   NIB_INT8_RESULT_I32, NIB_INT8_RESULT_U8, NIB_TYPE_BF16};
  Random random(seed * 977 + 5);
  Case c;
  c.seed = seed;
  NibInt8GemmDesc& d = c.desc.int8_gemm;
  d = {};
  d.op = NIB_OP_INT8_GEMM;
  d.rows = shape.rows;
  d.cols = shape.cols;
  d.tokens = shape.tokens;
  d.batch = random.below(4) == 0 ? 1 + random.below(3) : 0;
  d.result_type = kResults[turn % 6];
  const bool raw = d.result_type == NIB_INT8_RESULT_I32;
  const bool code = d.result_type > NIB_INT8_RESULT_I32;
  d.weights = sideOf(random, !raw);
  d.input = sideOf(random, !raw && random.below(2) == 0);
  if (random.below(3) == 0) d.input_stride = (shape.cols + 3) / 4 * 4 + random.below(2) * 12 + 4;
  if (random.below(4) == 0) d.result_stride = (shape.rows + 3) / 4 * 4 + 4 * random.below(3);
  if (!raw) {
    d.flags = random.below(4);
    const uint32_t activation = random.below(code ? 6 : 9);
    d.activation = activation < 6 ? activation : 0;
  }
  if (code) {
    d.result_scale = 0.03f + float(random.unit());
    d.result_zero = d.result_type == NIB_INT8_RESULT_I8 ? int32_t(random.below(256)) - 128 : int32_t(random.below(256));
    if (d.activation >= NIB_ACTIVATION_GELU) {
      d.table_scale = 0.01f + 0.1f * float(random.unit());
      d.table_zero = int32_t(random.below(256));
    }
  }
  c.n = random.below(3) == 0 ? (shape.tokens + 1) / 2 : shape.tokens;
  return c;
}

Case dynamicCaseOf(const Shape& shape, const NibFormatInfo& info, uint64_t seed, bool groups) {
  constexpr Recipe kRecipes[] = {Recipe::kNormal, Recipe::kMixed, Recipe::kOutlier, Recipe::kNonFinite, Recipe::kUniform};
  Random random(seed * 1013 + info.format);
  Case c;
  c.seed = seed;
  c.recipe = kRecipes[seed % 5];
  NibDynamicGemmDesc& d = c.desc.dynamic_gemm;
  d = {};
  d.op = NIB_OP_DYNAMIC_GEMM;
  d.flags = random.below(4);
  d.rows = shape.rows;
  d.cols = shape.cols;
  d.tokens = shape.tokens;
  d.source_type = random.below(3);
  if (random.below(3) == 0) d.source_stride = shape.cols + random.below(9);
  d.result_type = random.below(3);
  if (random.below(4) == 0) d.result_stride = (shape.rows + 3) / 2 * 2;
  const uint32_t activation = random.below(9);
  d.activation = activation < 6 ? activation : 0;
  const uint32_t modes[] = {0, NIB_WEIGHTS_ASYMMETRIC, NIB_WEIGHTS_NARROW, 0};
  d.input_flags = modes[random.below(4)];
  d.weights = sideOf(random, groups);
  d.weights.format = info.format;
  c.n = random.below(3) == 0 ? (shape.tokens + 1) / 2 : shape.tokens;
  // Every other one of a quick list, which has every other seed.
  if (seed / 2 % 2 == 0 && (d.input_flags & NIB_WEIGHTS_ASYMMETRIC) == 0) {
    constexpr float kThresholds[] = {6, 0.5f, 2.5f, 1e9f};
    const uint32_t most[] = {0, 0, 3, shape.cols};
    d.outlier_threshold = kThresholds[random.below(4)];
    d.max_outliers = std::min(most[random.below(4)], shape.cols);
    if (random.below(2) == 0) d.flags |= NIB_PRODUCT_STATUS;
  }
  // With a status, tokens become codes in a dispatch of their own: not too often.
  if (seed % 8 == 2 || seed % 8 == 7) d.flags |= NIB_PRODUCT_STATUS;
  return c;
}

std::string sideName(const NibWeights& w) {
  static const char* const kSharing[] = {" tensor", " row", " column", " g"};
  const NibFormatInfo* info = nibFormatById(w.format);
  std::string text = info != nullptr ? info->name : "?";
  text += kSharing[w.granularity & 3u];
  if (w.granularity == NIB_GRANULARITY_GROUP) text += std::to_string(w.group_size);
  if (w.flags & NIB_WEIGHTS_ASYMMETRIC) text += " asym";
  if (w.flags & NIB_WEIGHTS_NARROW) text += " narrow";
  static const char* const kTypes[] = {" f32", " f16", " bf16"};
  return text + (w.scale_type < 3 ? kTypes[w.scale_type] : " ?");
}

}  // namespace

void addInt8Gemm(std::vector<Case>& list, Extent extent) {
  uint64_t seed = 0;
  const uint32_t turns = extent == Extent::kQuick ? 3 : 18;
  for (uint32_t turn = 0; turn < turns; ++turn) {
    for (const Shape& shape : kShapes) {
      ++seed;
      list.push_back(caseOf(shape, seed, uint32_t(seed + turn)));
    }
  }
  // Sums that fp32 has no bits for, of kernels that might add codes up as floats.
  for (const uint32_t result : {0u, 3u}) {
    list.push_back(caseOf({260, 11, 2112}, ++seed, result));
    list.back().recipe = Recipe::kAlike;
  }
}

std::string int8Name(const NibInt8GemmDesc& d) {
  static const char* const kResults[] = {"f32", "f16", "bf16", "?", "?", "?", "?", "?", "i32", "i8", "u8"};
  static const char* const kActivations[] = {"", " relu", " relu6", " gelu", " gelu-tanh", " silu"};
  std::string text = " " + sideName(d.input) + " x " + sideName(d.weights) + " -> ";
  text += d.result_type < 11 ? kResults[d.result_type] : "?";
  if (d.flags & NIB_PRODUCT_BIAS) text += " bias";
  if (d.activation < 6) text += kActivations[d.activation];
  if (d.flags & NIB_PRODUCT_RESIDUAL) text += " residual";
  text += ", " + std::to_string(d.rows) + "x" + std::to_string(d.tokens) + "x" + std::to_string(d.cols);
  if (d.batch > 1) text += " batch " + std::to_string(d.batch);
  if (d.input_stride != 0) text += " input stride " + std::to_string(d.input_stride);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text;
}

void addDynamicGemm(std::vector<Case>& list, const NibFormatInfo& info, Extent extent) {
  const bool four = info.format == NIB_FORMAT_INT4 || info.format == NIB_FORMAT_UINT4;
  if (!four && info.format != NIB_FORMAT_INT8 && info.format != NIB_FORMAT_UINT8) return;
  uint64_t seed = 0;
  // A quick list has every shape once, over the formats.
  for (uint32_t turn = 0; turn < 8; ++turn) {
    for (const uint32_t place : kDynamicOrder) {
      const Shape& shape = kShapes[place];
      ++seed;
      if (extent == Extent::kQuick && (turn != info.format % 4 || (seed + info.format) % 2 != 0)) continue;
      list.push_back(dynamicCaseOf(shape, info, seed, four || turn % 2 == 0));
    }
  }
}

std::string dynamicName(const NibDynamicGemmDesc& d) {
  static const char* const kTypes[] = {"f32", "f16", "bf16"};
  static const char* const kActivations[] = {"", " relu", " relu6", " gelu", " gelu-tanh", " silu"};
  std::string text = std::string(" ") + kTypes[d.source_type % 3];
  if (d.input_flags & NIB_WEIGHTS_ASYMMETRIC) text += " asym";
  if (d.input_flags & NIB_WEIGHTS_NARROW) text += " narrow";
  text += " x " + sideName(d.weights) + " -> " + kTypes[d.result_type % 3];
  if (d.flags & NIB_PRODUCT_BIAS) text += " bias";
  if (d.activation < 6) text += kActivations[d.activation];
  if (d.flags & NIB_PRODUCT_RESIDUAL) text += " residual";
  text += ", " + std::to_string(d.rows) + "x" + std::to_string(d.tokens) + "x" + std::to_string(d.cols);
  if (d.outlier_threshold != 0) {
    text += " outliers from " + std::to_string(d.outlier_threshold);
    if (d.max_outliers != 0) text += " at most " + std::to_string(d.max_outliers);
  }
  if (d.flags & NIB_PRODUCT_STATUS) text += " status";
  if (d.source_stride != 0) text += " stride " + std::to_string(d.source_stride);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text;
}

// One of each is enough: which kernels multiply is int8_gemm's business.
uint64_t dynamicKind(const NibDynamicGemmDesc& d) {
  const bool smooth = d.activation >= NIB_ACTIVATION_GELU, outliers = d.outlier_threshold != 0;
  const bool one_dispatch = d.tokens == 1 && !smooth && !outliers && (d.flags & NIB_PRODUCT_STATUS) == 0;
  const bool whole_rows = d.rows >= 256;
  return uint64_t(smooth) | uint64_t(outliers) << 1 | uint64_t(one_dispatch) << 2 | uint64_t(whole_rows) << 3;
}

uint64_t int8Kind(const NibInt8GemmDesc& d) {
  const bool smooth = d.activation >= NIB_ACTIVATION_GELU && d.result_type <= NIB_TYPE_BF16;
  const bool whole_turns = d.rows >= 256 && d.cols % 32 == 0;  // of int8_gemm_rows
  return uint64_t(d.tokens > 8) | uint64_t(smooth) << 1 | uint64_t(whole_turns) << 2;
}

}  // namespace nib::cases
