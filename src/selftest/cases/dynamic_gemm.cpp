// Cases of dynamic_gemm: every format that its weights may have, tokens of every kind, outliers.
#include <nibble/formats.h>

#include "selftest/code_products.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibDynamicGemmDesc;

// A quick list has every other shape of kCodeShapes for a format; both halves contain shapes of few tokens.
constexpr uint32_t kOrder[] = {0, 1, 2, 3, 4, 6, 5, 7, 9, 8, 10, 11};

Case caseOf(const ProductShape& shape, const NibFormatInfo& info, uint64_t seed, bool groups) {
  constexpr Recipe kTokens[] = {Recipe::kNormal, Recipe::kMixed, Recipe::kOutlier, Recipe::kNonFinite,
                                Recipe::kUniform};
  Random random(seed * 1013 + info.format);
  Case c;
  c.seed = seed;
  c.recipe = kTokens[seed % 5];
  Desc& d = c.describe<Desc>(NIB_OP_DYNAMIC_GEMM);
  d.flags = random.below(4) | uint32_t(NIB_PRODUCT_ONE_KERNEL);
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
  if (seed % 3 == 1) d.input_flags |= NIB_WEIGHTS_FOUR_BITS;
  d.weights = randomSide(random, groups);
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

Case plain(uint32_t rows, uint32_t tokens, uint32_t cols, const NibWeights& weights);

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr) return;
  const bool four = format->format == NIB_FORMAT_INT4 || format->format == NIB_FORMAT_UINT4;
  if (!four && format->format != NIB_FORMAT_INT8 && format->format != NIB_FORMAT_UINT8) return;
  uint64_t seed = 0;
  // A quick list has every shape once, over the formats.
  for (uint32_t variant = 0; variant < 8; ++variant) {
    for (const uint32_t place : kOrder) {
      ++seed;
      if (extent == Extent::kQuick && (variant != format->format % 4 || (seed + format->format) % 2 != 0)) continue;
      list.push_back(caseOf(kCodeShapes[place], *format, seed, four || variant % 2 == 0));
    }
  }
  // Whole vectors of codes, and scales of every size.
  if (format->format != NIB_FORMAT_INT4) return;
  for (const uint32_t group : {32u, 64u, 128u}) {
    const uint32_t flags = group == 64 ? uint32_t(NIB_WEIGHTS_ASYMMETRIC) : 0u;
    list.push_back(plain(19, 2, 512, weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, group, flags)));
  }
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.source_type);
  if (d.input_flags & NIB_WEIGHTS_ASYMMETRIC) text += " asym";
  if (d.input_flags & NIB_WEIGHTS_NARROW) text += " narrow";
  if (d.input_flags & NIB_WEIGHTS_FOUR_BITS) text += " four bits";
  text += " x " + sideName(d.weights) + " -> " + typeName(d.result_type);
  if (d.flags & NIB_PRODUCT_BIAS) text += " bias";
  text += activationName(d.activation);
  if (d.flags & NIB_PRODUCT_RESIDUAL) text += " residual";
  text += ", " + std::to_string(d.rows) + "x" + std::to_string(d.tokens) + "x" + std::to_string(d.cols);
  if (d.outlier_threshold != 0) {
    text += " outliers from " + std::to_string(d.outlier_threshold);
    if (d.max_outliers != 0) text += " at most " + std::to_string(d.max_outliers);
  }
  if (d.flags & NIB_PRODUCT_STATUS) text += " status";
  if (d.source_stride != 0) text += " stride " + std::to_string(d.source_stride);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text + " n " + std::to_string(c.n) + dataName(c);
}

// One case of each is enough: int8_gemm's cases cover the kernels that multiply.
uint64_t kind(const Desc& d) {
  const bool smooth = isSmooth(d.activation), outliers = d.outlier_threshold != 0;
  const bool one_dispatch = d.tokens == 1 && !smooth && !outliers && (d.flags & NIB_PRODUCT_STATUS) == 0;
  const bool whole_rows = d.rows >= 256;
  return uint64_t(smooth) | uint64_t(outliers) << 1 | uint64_t(one_dispatch) << 2 | uint64_t(whole_rows) << 3;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  const uint64_t bytes = memory.range[role].size_bytes;
  if (role == NIB_ROLE_INPUT) range = makeNumbers(c.recipe, d.source_type, bytes, c.seed);
  if (role == NIB_ROLE_WEIGHTS) fillCodeWeights(c, d.weights, memory, range);
  if (role == NIB_ROLE_OUTPUT && (d.flags & NIB_PRODUCT_RESIDUAL)) {
    range = makeNumbers(Recipe::kMixed, d.result_type, bytes, c.seed + 5);
  }
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows, memory, part);
  if (role == NIB_ROLE_OUTPUT) return linesOfResult(d.result_type, d.result_stride, d.rows);
  return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
}

Case plain(uint32_t rows, uint32_t tokens, uint32_t cols, const NibWeights& weights) {
  Case c;
  c.seed = 1100 + rows;
  c.n = tokens;
  Desc& d = c.describe<Desc>(NIB_OP_DYNAMIC_GEMM);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = rows;
  d.cols = cols;
  d.tokens = tokens;
  d.source_type = NIB_TYPE_F32;
  d.result_type = NIB_TYPE_F32;
  d.weights = weights;
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions&, std::vector<Case>& list) {
  if (purpose != Large::kSlices || format == nullptr || format->format != NIB_FORMAT_INT4) return;
  Case c = plain(67, kSliceShape.rows, 1040, weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, 0, NIB_TYPE_F16));
  c.recipe = Recipe::kNonFinite;
  list.push_back(c);
}

// W8A8, W4A8, and LLM.int8() with a few outliers per thousand of normal data.
void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kProducts) return;
  const bool first_layer = request.layer == 0, few_tokens = request.suite == Suite::kGemv || request.shape.n <= 512;
  if (!request.given && !(first_layer && few_tokens)) return;
  const auto add = [&](uint32_t format, BenchSharing sharing, float threshold) {
    const NibFormatInfo* info = nibFormatById(format);
    if (info == nullptr) return;
    const BenchShape& shape = request.shape;
    Case c = plain(shape.m, shape.n, shape.k, benchWeights(*info, sharing));
    c.as<Desc>().outlier_threshold = threshold;
    rows.add(kReadsProducts, shape, c, shape.n);
  };
  add(NIB_FORMAT_INT8, kPerRow, 0);
  add(NIB_FORMAT_INT4, kPerGroup128, 0);
  add(NIB_FORMAT_INT8, kPerRow, 3);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  names.source = typeName(d.source_type);
  names.result = typeName(d.result_type);
  if (d.outlier_threshold != 0) names.modes.emplace_back("outliers");
  names.m = d.rows;
  names.n = d.tokens;
  names.k = d.cols;
}

// Tokens quantized while multiplying, or in a separate dispatch.
std::vector<RowForm> forms(const Desc& d) {
  const auto tuning = [&](uint32_t fused) {
    return NibTuning{NIB_TUNABLE_DYNAMIC, d.weights.format, d.tokens, {fused}};
  };
  return {{"fused", tuning(1)}, {"chained", tuning(0)}};
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_DYNAMIC_GEMM,
    .list = list,
    .name = name,
    .kind = kind,
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .input_format = [](const Desc&) { return uint32_t{NIB_FORMAT_INT8}; },  // the tokens'
    .lines = lines,
    .bounded = [](const Case&, const Desc& d) { return isSmooth(d.activation); },
    .farthest = [](const Desc& d, const Judged& judged) { return farthestSmooth(d, 1, judged); },
    .large = addLarge,
    .bench = {.list = listBench,
              .names = nameBench,
              .multiplyAdds = [](const Desc& d, uint32_t n) { return double(d.rows) * d.cols * n; },
              .arithmetic = [](const Desc&) { return Arithmetic::kCodes; },
              .forms = forms},
};

}  // namespace

NIB_DEFINE_CASES(dynamic_gemm, NibDynamicGemmDesc, kCases)

}  // namespace nib::selftest
