// Cases of int8_gemm: every kind of result, ways of sharing scales on both sides, and what follows the sums.
#include <nibble/formats.h>

#include "selftest/code_products.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibInt8GemmDesc;

uint32_t batchOf(const Desc& d) { return std::max(d.batch, 1u); }

Case caseOf(const ProductShape& shape, uint64_t seed, uint32_t variant) {
  constexpr uint32_t kResults[] = {NIB_TYPE_F32,        NIB_INT8_RESULT_I8, NIB_TYPE_F16,
                                   NIB_INT8_RESULT_I32, NIB_INT8_RESULT_U8, NIB_TYPE_BF16};
  Random random(seed * 977 + 5);
  Case c;
  c.seed = seed;
  Desc& d = c.describe<Desc>(NIB_OP_INT8_GEMM);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = shape.rows;
  d.cols = shape.cols;
  d.tokens = shape.tokens;
  d.batch = random.below(4) == 0 ? 1 + random.below(3) : 0;
  d.result_type = kResults[variant % 6];
  const bool raw = d.result_type == NIB_INT8_RESULT_I32;
  const bool code = d.result_type > NIB_INT8_RESULT_I32;
  d.weights = randomSide(random, !raw);
  d.input = randomSide(random, !raw && random.below(2) == 0);
  if (random.below(3) == 0) d.input_stride = (shape.cols + 3) / 4 * 4 + random.below(2) * 12 + 4;
  if (random.below(4) == 0) d.result_stride = (shape.rows + 3) / 4 * 4 + 4 * random.below(3);
  if (!raw) {
    d.flags |= random.below(4);
    const uint32_t activation = random.below(code ? 6 : 9);
    d.activation = activation < 6 ? activation : 0;
  }
  if (code) {
    d.result_scale = 0.03f + float(random.unit());
    d.result_zero = d.result_type == NIB_INT8_RESULT_I8 ? int32_t(random.below(256)) - 128 : int32_t(random.below(256));
    if (isSmooth(d.activation)) {
      d.table_scale = 0.01f + 0.1f * float(random.unit());
      d.table_zero = int32_t(random.below(256));
    }
  }
  c.n = random.below(3) == 0 ? (shape.tokens + 1) / 2 : shape.tokens;
  return c;
}

Case plain(uint32_t rows, uint32_t tokens, uint32_t cols, const NibWeights& weights, const NibWeights& input);

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  uint64_t seed = 0;
  const uint32_t variants = extent == Extent::kQuick ? 3 : 18;
  for (uint32_t variant = 0; variant < variants; ++variant) {
    for (const ProductShape& shape : kCodeShapes) {
      ++seed;
      list.push_back(caseOf(shape, seed, uint32_t(seed + variant)));
    }
  }
  // Sums above 2^24, to find kernels that accumulate codes as floats.
  for (const uint32_t result : {0u, 3u}) {
    list.push_back(caseOf({260, 11, 2112}, ++seed, result));
    list.back().recipe = Recipe::kAlike;
  }
  // Whole vectors of codes, and scales of every size.
  const NibWeights rows = weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, 0);
  list.push_back(plain(37, 3, 1024, rows, rows));
}

std::string name(const Case& c, const Desc& d) {
  std::string text = " " + sideName(d.input) + " x " + sideName(d.weights) + " -> " + typeName(d.result_type);
  if (d.flags & NIB_PRODUCT_BIAS) text += " bias";
  text += activationName(d.activation);
  if (d.flags & NIB_PRODUCT_RESIDUAL) text += " residual";
  text += ", " + std::to_string(d.rows) + "x" + std::to_string(d.tokens) + "x" + std::to_string(d.cols);
  if (d.batch > 1) text += " batch " + std::to_string(d.batch);
  if (d.input_stride != 0) text += " input stride " + std::to_string(d.input_stride);
  if (d.result_stride != 0) text += " result stride " + std::to_string(d.result_stride);
  return text + " n " + std::to_string(c.n) + ", seed " + std::to_string(c.seed);
}

// Roughly the properties that decide the path.
uint64_t kind(const Desc& d) {
  const bool smooth = isSmooth(d.activation) && d.result_type <= NIB_TYPE_BF16;
  const bool whole_turns = d.rows >= 256 && d.cols % 32 == 0;  // of int8_gemm_rows
  return uint64_t(d.tokens > 8) | uint64_t(smooth) << 1 | uint64_t(whole_turns) << 2;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  const uint64_t bytes = memory.range[role].size_bytes;
  if (role == NIB_ROLE_INPUT) {
    const NibMemoryPart& scales = memory.part[NIB_PART_INPUT_SCALES];
    range = makeCodes(c.recipe, d.input, bytes, c.seed + 7);
    fillPart(range, scales, makeScales(d.input.scale_type, scales.size_bytes, c.seed + 8));
  }
  if (role == NIB_ROLE_WEIGHTS) {
    fillCodeWeights(c, d.weights, memory, range);
    float table[256];
    if (nibFillActivationTable(&d, table) == NIB_SUCCESS) {
      std::memcpy(reinterpret_cast<uint8_t*>(range.data()) + memory.part[NIB_PART_TABLE].offset_bytes, table,
                  sizeof table);
    }
  }
  if (role == NIB_ROLE_OUTPUT && (d.flags & NIB_PRODUCT_RESIDUAL)) {
    const bool dense = d.result_type <= NIB_TYPE_BF16;
    range = dense ? makeNumbers(Recipe::kMixed, d.result_type, bytes, c.seed + 5) : makeBits(bytes, c.seed + 5);
  }
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows * batchOf(d), memory, part);
  if (role == NIB_ROLE_INPUT) return {(d.input_stride != 0 ? d.input_stride : (uint64_t(d.cols) + 3) / 4 * 4) * 8, 8};
  const uint32_t bits = d.result_type == NIB_TYPE_F32 || d.result_type == NIB_INT8_RESULT_I32 ? 32
                        : d.result_type <= NIB_TYPE_BF16                                      ? 16
                                                                                              : 8;
  const uint64_t per_word = 32 / bits, whole = (d.rows + per_word - 1) / per_word * per_word;
  return {(d.result_stride != 0 ? d.result_stride : whole) * bits, bits};
}

NibWeights int8Rows(uint32_t flags = 0) { return weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, flags); }

Case plain(uint32_t rows, uint32_t tokens, uint32_t cols, const NibWeights& weights, const NibWeights& input) {
  Case c;
  c.seed = 1000 + rows;
  c.n = tokens;
  Desc& d = c.describe<Desc>(NIB_OP_INT8_GEMM);
  d.flags = NIB_PRODUCT_ONE_KERNEL;
  d.rows = rows;
  d.cols = cols;
  d.tokens = tokens;
  d.result_type = NIB_TYPE_F32;
  d.weights = weights;
  d.input = input;
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
    case Large::kNarrowWindows: break;
    case Large::kSlices: {
      if (options.slow) break;
      Case c = plain(600, 100, kSliceShape.cols, int8Rows(), int8Rows());
      c.as<Desc>().flags |= NIB_PRODUCT_RESIDUAL;
      c.as<Desc>().result_type = NIB_TYPE_F16;
      list.push_back(c);
      break;
    }
    case Large::kWindows:
      list.push_back(plain(kWindowShape.rows, 2, 4096, int8Rows(), int8Rows()));
      list.push_back(plain(2, kWindowShape.rows, 4096, int8Rows(), int8Rows()));
      break;
    case Large::kPlans:
      forEachPlan(NIB_FORMAT_INT8, [&](const PlanShape& shape) {
        constexpr uint32_t kTokens[] = {1, 512, 8, 33};
        const uint32_t variant = shape.variant;
        Case c = plain(shape.rows, kTokens[variant / 4 % 4], shape.cols, shape.weights, int8Rows(variant / 2 % 2));
        Desc& d = c.as<Desc>();
        d.flags = variant % 4 | uint32_t(NIB_PRODUCT_ONE_KERNEL);
        d.result_type = variant % 3;
        d.activation = variant % 6;
        list.push_back(c);
      });
  }
}

// Few tokens and many; one scale per row, and groups; zero points.
void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t variant = 0; variant < 4; ++variant) {
    const bool groups = variant / 2 != 0;
    const NibWeights weights =
        groups ? weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 64, 0, NIB_TYPE_F16) : int8Rows();
    const NibWeights input =
        weightsOf(NIB_FORMAT_UINT8, NIB_GRANULARITY_ROW, 0, groups ? uint32_t{NIB_WEIGHTS_ASYMMETRIC} : 0u);
    Case c =
        plain(kVerifiedShape.rows, variant % 2 == 0 ? 3 : kVerifiedShape.rows, kVerifiedShape.cols, weights, input);
    Desc& d = c.as<Desc>();
    d.result_type = variant % 3;
    list.push_back({"int8_gemm " + std::to_string(d.tokens) + " tokens " + typeName(d.result_type), c});
  }
}

// Scales per token and per channel, as in W8A8 models; suite full has other granularities too.
void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kCodes) return;
  const BenchShape& shape = request.shape;
  const auto add = [&](const NibWeights& weights, const NibWeights& input) {
    rows.add(0, shape, plain(shape.m, shape.n, shape.k, weights, input), shape.n, Recipe::kMixed);
  };
  add(int8Rows(), int8Rows());
  if (request.suite != Suite::kFull) return;
  add(int8Rows(), int8Rows(NIB_WEIGHTS_ASYMMETRIC));
  add(weightsOf(NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 128, 0, NIB_TYPE_F16), int8Rows());
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  const NibFormatInfo* input = nibFormatById(d.input.format);
  names.source = input != nullptr ? input->name : "?";
  names.result = typeName(d.result_type);
  if (d.input.flags & NIB_WEIGHTS_ASYMMETRIC) names.modes.emplace_back("asymmetric input");
  names.m = d.rows;
  names.n = d.tokens;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_INT8_GEMM,
    .list = list,
    .name = name,
    .kind = kind,
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .input_format = [](const Desc& d) { return d.input.format; },
    .by_format = false,
    .lines = lines,
    .bounded = [](const Case&, const Desc& d) { return isSmooth(d.activation) && d.result_type <= NIB_TYPE_BF16; },
    .farthest = [](const Desc& d, const Judged& judged) { return farthestSmooth(d, batchOf(d), judged); },
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench,
              .names = nameBench,
              .multiplyAdds = [](const Desc& d, uint32_t n) { return double(d.rows) * d.cols * n * batchOf(d); },
              .arithmetic = [](const Desc&) { return Arithmetic::kCodes; },
              // The activations are codes, so the fp32 counterpart has another source type.
              .denseSource = [](const Desc&) { return "f32"; }},
};

}  // namespace

NIB_DEFINE_CASES(int8_gemm, NibInt8GemmDesc, kCases)

}  // namespace nib::selftest
