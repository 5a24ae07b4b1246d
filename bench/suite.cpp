#include "bench/suite.h"

#include <nibble/formats.h>

#include <algorithm>
#include <bit>
#include <cctype>

namespace nib::bench {
namespace {

// At least 16 Mi elements. The second has tails of every kind: odd rows, odd columns, no whole group at a row's end.
constexpr Shape kShape{4096, 1, 4096};
constexpr Shape kTailShape{4099, 1, 4111};
// 1 GB of fp32: activations of many tokens.
constexpr Shape kStreamShape{65536, 1, 4096};
constexpr uint64_t kSeed = 2024;
constexpr uint32_t kTensorBins = 4096, kColumnBins = 1024;  // as calibrate has them

const char* typeName(uint32_t type) {
  static const char* const kNames[] = {"f32", "f16", "bf16", "e8m0"};
  return type < 4 ? kNames[type] : "?";
}

bool sameWord(const std::string& a, const std::string& b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  });
}

struct Sharing {
  NibGranularity granularity;
  uint32_t group;
};
constexpr Sharing kTensor{NIB_GRANULARITY_TENSOR, 0};
constexpr Sharing kRow{NIB_GRANULARITY_ROW, 0};
constexpr Sharing kColumn{NIB_GRANULARITY_COLUMN, 0};
constexpr Sharing kGroup32{NIB_GRANULARITY_GROUP, 32};
constexpr Sharing kGroup64{NIB_GRANULARITY_GROUP, 64};
constexpr Sharing kGroup128{NIB_GRANULARITY_GROUP, 128};

// Linear layers of models of 7 and 70 billion weights.
constexpr Shape kGemvShapes[] = {{4096, 1, 4096}, {11008, 1, 4096}, {4096, 1, 11008}, {28672, 1, 8192}};
constexpr uint32_t kGemmTokens[] = {16, 64, 512, 2048};
constexpr uint32_t kSquares[] = {1024, 2048, 4096, 8192};

// Products of int8 codes, per token and per channel as W8A8 models have them.
constexpr Shape kProducts[] = {{1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 16, 4096}, {4096, 64, 4096}, {4096, 512, 4096},
                               {4096, 4096, 4096}, {11008, 512, 4096}, {4096, 1, 4096}};

void addInt8Gemm(const SuiteOptions& options, const Shape& shape, NibWeights weights, NibWeights input,
                 std::vector<cases::Case>& rows) {
  cases::Case row;
  NibInt8GemmDesc& d = row.desc.int8_gemm;
  d = {};
  d.op = NIB_OP_INT8_GEMM;
  d.rows = shape.m;
  d.tokens = shape.n;
  d.cols = shape.k;
  d.result_type = NIB_TYPE_F32;
  d.weights = weights;
  d.input = input;
  row.seed = kSeed;
  row.n = shape.n;
  NibMemory memory;
  if (!options.type.empty() && !sameWord(options.type, namesOf(row).type)) return;
  if (nibGetMemory(&row.desc.op, nullptr, &memory) == NIB_SUCCESS) rows.push_back(row);
}

void addInt8Gemms(const SuiteOptions& options, const Shape& shape, std::vector<cases::Case>& rows) {
  const NibWeights row{NIB_FORMAT_INT8, NIB_GRANULARITY_ROW, 0, NIB_TYPE_F32, 0};
  const NibWeights group{NIB_FORMAT_INT8, NIB_GRANULARITY_GROUP, 128, NIB_TYPE_F16, 0};
  NibWeights asymmetric = row;
  asymmetric.flags = NIB_WEIGHTS_ASYMMETRIC;
  addInt8Gemm(options, shape, row, row, rows);
  if (options.suite != "full") return;
  addInt8Gemm(options, shape, row, asymmetric, rows);
  addInt8Gemm(options, shape, group, row, rows);
}

void listInt8Gemm(const SuiteOptions& options, std::vector<cases::Case>& rows) {
  if (options.shape) {
    addInt8Gemms(options, *options.shape, rows);
    return;
  }
  if (options.suite == "gemm") {
    for (const Shape& shape : kGemvShapes) {
      for (const uint32_t tokens : kGemmTokens) addInt8Gemms(options, {shape.m, tokens, shape.k}, rows);
    }
    for (const uint32_t side : kSquares) addInt8Gemms(options, {side, side, side}, rows);
    return;
  }
  for (const Shape& shape : kProducts) addInt8Gemms(options, shape, rows);
}

// Lists rows of one shape.
class Lister {
 public:
  Lister(const SuiteOptions& options, Shape shape, std::vector<cases::Case>& rows)
      : options_(options), shape_(shape), rows_(rows) {}

  void quantize(const NibFormatInfo& info, Sharing sharing, NibType source, uint32_t weights_flags = 0,
                uint32_t flags = 0) {
    cases::Case row;
    NibQuantizeDesc& d = row.desc.quantize;
    d = {};
    d.op = NIB_OP_QUANTIZE;
    d.flags = flags;
    d.rows = shape_.m;
    d.cols = shape_.k;
    d.source_type = source;
    d.weights = weightsOf(info, sharing, weights_flags);
    if ((weights_flags & ~info.weights_flags) == 0) add(row);
  }

  void given(const NibFormatInfo& info, Sharing sharing, NibType source) {
    quantize(info, sharing, source, 0, NIB_QUANTIZE_GIVEN_SCALES);
  }

  void dequantize(const NibFormatInfo& info, Sharing sharing, NibType result, uint32_t weights_flags = 0) {
    cases::Case row;
    NibDequantizeDesc& d = row.desc.dequantize;
    d = {};
    d.op = NIB_OP_DEQUANTIZE;
    d.rows = shape_.m;
    d.cols = shape_.k;
    d.result_type = result;
    d.weights = weightsOf(info, sharing, weights_flags);
    if ((weights_flags & ~info.weights_flags) == 0) add(row);
  }

  // Nothing of NibFormatInfo: dense weights, of type `dense`.
  void matmul(const NibFormatInfo* info, Sharing sharing, NibType dense, NibType activations) {
    cases::Case row;
    NibMatmulDesc& d = row.desc.matmul;
    d = {};
    d.op = NIB_OP_MATMUL;
    d.rows = shape_.m;
    d.cols = shape_.k;
    d.tokens = shape_.n;
    d.input_type = activations;
    d.result_type = activations;
    d.weights = info != nullptr ? weightsOf(*info, sharing, 0) : NibWeights{NIB_FORMAT_DENSE, 0, 0, uint32_t(dense), 0};
    row.recipe = cases::Recipe::kNormal;
    add(row, shape_.n);
  }

  // Tokens are quantized within the plan; threshold > 0: their outliers are not.
  void dynamic(uint32_t format, Sharing sharing, float threshold) {
    const NibFormatInfo* info = nibFormatById(format);
    if (info == nullptr) return;
    cases::Case row;
    row.desc.dynamic_gemm = {NIB_OP_DYNAMIC_GEMM, 0, shape_.m, shape_.k, shape_.n, NIB_TYPE_F32, 0, NIB_TYPE_F32, 0, 0, 0,
                             weightsOf(*info, sharing, 0), threshold, 0};
    add(row, shape_.n);
  }

  void gather(const NibFormatInfo& info, Sharing sharing, NibType result) {
    cases::Case row;
    row.desc.gather = {NIB_OP_GATHER, 0, shape_.m, shape_.k, shape_.m, uint32_t(result), 0, weightsOf(info, sharing, 0)};
    add(row);
  }

  void minmax(Sharing sharing, NibType source) {
    cases::Case row;
    NibMinMaxDesc& d = row.desc.minmax;
    d = {};
    d.op = NIB_OP_MINMAX;
    d.rows = shape_.m;
    d.cols = shape_.k;
    d.source_type = source;
    d.granularity = sharing.granularity;
    add(row);
  }

  // Begun anew, so that every repetition gives the same.
  void histogram(Sharing sharing, NibType source, uint32_t bins, cases::Recipe recipe = cases::Recipe::kNormal) {
    cases::Case row;
    row.desc.histogram = {NIB_OP_HISTOGRAM, NIB_HISTOGRAM_SIGNED, shape_.m, shape_.k, uint32_t(source), 0,
                          uint32_t(sharing.granularity), bins};
    add(row, 0, recipe);
  }

  void moments(Sharing sharing, NibType source) {
    cases::Case row;
    row.desc.moments = {NIB_OP_MOMENTS, 0, shape_.m, shape_.k, uint32_t(source), 0, uint32_t(sharing.granularity)};
    add(row);
  }

  void convert(NibType source, NibType result) {
    cases::Case row;
    row.desc.convert = {NIB_OP_CONVERT, 0, shape_.m, shape_.k, uint32_t(source), 0, uint32_t(result), 0};
    add(row);
  }

  void errors(NibType reference, NibType candidate) {
    cases::Case row;
    row.desc.errors = {NIB_OP_ERRORS, 0, shape_.m, shape_.k, uint32_t(reference), 0, uint32_t(candidate), 0};
    add(row);
  }

 private:
  // Scales as model files keep them: half precision, but bitsandbytes' NF4 blocks single.
  static NibWeights weightsOf(const NibFormatInfo& info, Sharing sharing, uint32_t flags) {
    const bool affine = (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC) != 0;
    uint32_t type = affine ? NIB_TYPE_F16 : NIB_TYPE_F32;
    if (!(info.scale_types >> type & 1u)) type = uint32_t(std::countr_zero(info.scale_types));
    return {info.format, uint32_t(sharing.granularity), sharing.group, type, flags};
  }

  void add(cases::Case& row, uint32_t n = 0, cases::Recipe recipe = cases::Recipe::kNormal) {
    if (!options_.type.empty() && !sameWord(options_.type, namesOf(row).type)) return;
    NibMemory memory;
    if (nibGetMemory(&row.desc.op, nullptr, &memory) != NIB_SUCCESS) return;
    row.recipe = recipe;
    row.seed = kSeed;
    row.n = n != 0 ? n : shape_.m;
    rows_.push_back(row);
  }

  const SuiteOptions& options_;
  Shape shape_;
  std::vector<cases::Case>& rows_;
};

Sharing usual(const NibFormatInfo& info) {
  return info.default_group_size == 0 ? kRow : Sharing{NIB_GRANULARITY_GROUP, info.default_group_size};
}

// Formats that are timed in every way; others differ from these in how a code is made, not in how memory is walked.
bool inEveryWay(const NibFormatInfo& info) { return info.format <= NIB_FORMAT_UINT8; }

// Products: dense weights first, which the others are held against; every format at the first shape of a suite, at the
// others one of each number of bits that models are kept in.
void listProducts(Lister& list, NibType activations, bool every_format) {
  for (const NibType dense : {NIB_TYPE_F32, NIB_TYPE_F16}) list.matmul(nullptr, kTensor, dense, activations);
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    const bool usual_one = info.format == NIB_FORMAT_INT8 || info.format == NIB_FORMAT_INT4 || info.format == NIB_FORMAT_NF4 ||
                           info.format == NIB_FORMAT_Q4_0 || info.format == NIB_FORMAT_Q8_0;
    if (every_format || usual_one) list.matmul(&info, usual(info), NIB_TYPE_F32, activations);
  }
}

// W8A8, W4A8, and LLM.int8() with a few outliers per thousand of normal data.
void listDynamic(Lister& list) {
  list.dynamic(NIB_FORMAT_INT8, kRow, 0);
  list.dynamic(NIB_FORMAT_INT4, kGroup128, 0);
  list.dynamic(NIB_FORMAT_INT8, kRow, 3);
}

// Rows that read the same data follow each other: it is uploaded once.
void listQuick(Lister& list) {
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    list.dequantize(info, usual(info), NIB_TYPE_F32);
    list.dequantize(info, usual(info), NIB_TYPE_F16);
    list.gather(info, usual(info), NIB_TYPE_F32);
  }
  listProducts(list, NIB_TYPE_F32, true);
  for (const Sharing& sharing : {kTensor, kRow, kColumn}) list.minmax(sharing, NIB_TYPE_F32);
  list.convert(NIB_TYPE_F32, NIB_TYPE_F16);
  list.convert(NIB_TYPE_BF16, NIB_TYPE_F32);
  list.errors(NIB_TYPE_F32, NIB_TYPE_F32);
  list.histogram(kTensor, NIB_TYPE_F32, kTensorBins);
  list.moments(kTensor, NIB_TYPE_F32);
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    list.quantize(info, usual(info), NIB_TYPE_F32);
    // The other paths once: they differ little between formats of one size.
    if (info.bits != 4 || (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC) == 0) continue;
    list.quantize(info, kRow, NIB_TYPE_F32);
    list.quantize(info, kTensor, NIB_TYPE_F32);
    list.given(info, kRow, NIB_TYPE_F32);
  }
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    list.quantize(info, usual(info), NIB_TYPE_F16);
  }
}

void listQuantize(Lister& list) {
  constexpr NibType kTypes[] = {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16};
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    for (const NibType type : kTypes) list.dequantize(info, usual(info), type);
    for (const NibType type : kTypes) list.dequantize(info, usual(info), type, NIB_WEIGHTS_ASYMMETRIC);
  }
  for (const NibType type : kTypes) {
    for (uint32_t i = 0; i < nibFormatCount(); ++i) {
      const NibFormatInfo& info = *nibFormatAt(i);
      if (!inEveryWay(info)) {
        list.quantize(info, usual(info), type);
        continue;
      }
      for (const Sharing& sharing : {kGroup128, kGroup64, kGroup32, kRow, kTensor, kColumn}) {
        list.quantize(info, sharing, type);
      }
      list.quantize(info, kGroup128, type, NIB_WEIGHTS_ASYMMETRIC);
      list.quantize(info, kGroup64, type, NIB_WEIGHTS_FLAT);
      for (const Sharing& sharing : {kRow, kTensor, kGroup128}) list.given(info, sharing, type);
    }
    for (const Sharing& sharing : {kTensor, kRow, kColumn}) list.minmax(sharing, type);
    for (const NibType other : kTypes) {
      if (other != type) list.convert(type, other);
    }
    for (const NibType other : kTypes) list.errors(type, other);
  }
}

// Collectors of activations. How many elements meet in one bin decides what counting costs.
void listCalibrate(Lister& list) {
  for (const cases::Recipe recipe : {cases::Recipe::kNormal, cases::Recipe::kRelu, cases::Recipe::kOutlier}) {
    list.histogram(kTensor, NIB_TYPE_F32, kTensorBins, recipe);
    list.histogram(kColumn, NIB_TYPE_F32, kColumnBins, recipe);
  }
  for (const Sharing& sharing : {kTensor, kColumn}) {
    list.minmax(sharing, NIB_TYPE_F32);
    list.moments(sharing, NIB_TYPE_F32);
  }
}

void listGemv(const SuiteOptions& options, std::vector<cases::Case>& rows) {
  for (const Shape& shape : kGemvShapes) {
    Lister list(options, options.shape.value_or(shape), rows);
    const bool first = &shape == kGemvShapes;
    listProducts(list, NIB_TYPE_F32, first || options.shape);
    if (first) listProducts(list, NIB_TYPE_F16, false);
    if (first) listDynamic(list);
    if (options.shape) return;
  }
}

void listGemm(const SuiteOptions& options, std::vector<cases::Case>& rows) {
  for (const Shape& shape : kGemvShapes) {
    for (const uint32_t tokens : kGemmTokens) {
      Lister list(options, options.shape.value_or(Shape{shape.m, tokens, shape.k}), rows);
      const bool first = &shape == kGemvShapes && tokens == kGemmTokens[0];
      listProducts(list, NIB_TYPE_F32, options.shape.has_value());
      listProducts(list, NIB_TYPE_F16, first && !options.shape);
      if (options.shape || (&shape == kGemvShapes && tokens <= 512)) listDynamic(list);
      if (options.shape) return;
    }
  }
  // What squares of codes are held against.
  for (const uint32_t side : kSquares) Lister(options, {side, side, side}, rows).matmul(nullptr, kTensor, NIB_TYPE_F32, NIB_TYPE_F32);
}

// What tails cost, once per format and direction.
void listTails(Lister& list) {
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    list.dequantize(info, usual(info), NIB_TYPE_F32);
    list.quantize(info, usual(info), NIB_TYPE_F32);
    list.given(info, usual(info), NIB_TYPE_F32);
  }
  list.minmax(kRow, NIB_TYPE_F32);
  list.convert(NIB_TYPE_F32, NIB_TYPE_F16);
  list.errors(NIB_TYPE_F32, NIB_TYPE_F16);
}

}  // namespace

const std::vector<std::string>& suiteNames() {
  static const std::vector<std::string> kNames = {"quick", "full", "quantize", "gemv", "gemm", "calibrate"};
  return kNames;
}

std::vector<std::string> suiteTypes() {
  std::vector<std::string> names;
  for (uint32_t i = 0; i < nibFormatCount(); ++i) names.emplace_back(nibFormatAt(i)->name);
  for (uint32_t type = 0; type < 3; ++type) names.emplace_back(typeName(type));
  return names;
}

std::vector<cases::Case> suiteRows(const SuiteOptions& options) {
  std::vector<cases::Case> rows;
  if (options.suite == "gemv" || options.suite == "gemm") {
    options.suite == "gemv" ? listGemv(options, rows) : listGemm(options, rows);
    if (options.suite == "gemm") listInt8Gemm(options, rows);
    // So that a budget ends among the longest.
    std::stable_sort(rows.begin(), rows.end(),
                     [](const cases::Case& a, const cases::Case& b) { return multiplyAdds(a) < multiplyAdds(b); });
    return rows;
  }
  if (options.suite == "full") listInt8Gemm(options, rows);
  const bool calibrate = options.suite == "calibrate";
  Lister list(options, options.shape.value_or(calibrate ? kStreamShape : kShape), rows);
  if (calibrate) {
    listCalibrate(list);
    if (!options.shape) {
      Lister tails(options, kTailShape, rows);
      tails.histogram(kTensor, NIB_TYPE_F32, kTensorBins);
      tails.moments(kTensor, NIB_TYPE_F32);
    }
    return rows;
  }
  options.suite == "quick" ? listQuick(list) : listQuantize(list);
  if (options.shape || options.suite == "quick") return rows;
  Lister tails(options, kTailShape, rows);
  options.suite == "full" ? listQuantize(tails) : listTails(tails);
  return rows;
}

std::string RowNames::sharing() const {
  std::string text = granularity;
  if (group_size != 0) text += " " + std::to_string(group_size);
  for (const std::string& mode : modes) text += " " + mode;
  if (scales == "given") text += " given";
  return text;
}

RowNames namesOf(const cases::Case& row) {
  static const char* const kGranularities[] = {"tensor", "row", "column", "group"};
  RowNames names;
  names.op = cases::opName(row.op());
  const auto describe = [&](const NibWeights& weights) {
    const NibFormatInfo* info = nibFormatById(weights.format);
    names.type = info != nullptr ? info->name : "?";
    names.granularity = kGranularities[weights.granularity & 3u];
    names.group_size = weights.granularity == NIB_GRANULARITY_GROUP ? weights.group_size : 0;
    names.scale_type = typeName(weights.scale_type);
    if (weights.flags & NIB_WEIGHTS_ASYMMETRIC) names.modes.emplace_back("asymmetric");
    if (weights.flags & NIB_WEIGHTS_NARROW) names.modes.emplace_back("narrow");
    if (weights.flags & NIB_WEIGHTS_FLAT) names.modes.emplace_back("flat");
  };
  switch (row.op()) {
    case NIB_OP_QUANTIZE:
      describe(row.desc.quantize.weights);
      names.source = typeName(row.desc.quantize.source_type);
      names.scales = row.desc.quantize.flags & NIB_QUANTIZE_GIVEN_SCALES ? "given" : "found";
      names.m = row.desc.quantize.rows;
      names.k = row.desc.quantize.cols;
      break;
    case NIB_OP_DEQUANTIZE:
      describe(row.desc.dequantize.weights);
      names.result = typeName(row.desc.dequantize.result_type);
      names.m = row.desc.dequantize.rows;
      names.k = row.desc.dequantize.cols;
      break;
    case NIB_OP_GATHER:
      describe(row.desc.gather.weights);
      names.result = typeName(row.desc.gather.result_type);
      names.m = row.desc.gather.count;
      names.k = row.desc.gather.cols;
      break;
    case NIB_OP_MATMUL: {
      const NibMatmulDesc& d = row.desc.matmul;
      if (d.weights.format == NIB_FORMAT_DENSE) {
        names.type = typeName(d.weights.scale_type);
        names.granularity = kGranularities[NIB_GRANULARITY_TENSOR];
      } else {
        describe(d.weights);
      }
      names.source = typeName(d.input_type);
      names.result = typeName(d.result_type);
      names.m = d.rows;
      names.n = d.tokens;
      names.k = d.cols;
      break;
    }
    case NIB_OP_CONVERT:
      names.type = typeName(row.desc.convert.result_type);
      names.source = typeName(row.desc.convert.source_type);
      names.granularity = kGranularities[NIB_GRANULARITY_TENSOR];
      names.m = row.desc.convert.rows;
      names.k = row.desc.convert.cols;
      break;
    case NIB_OP_ERRORS:
      names.type = typeName(row.desc.errors.candidate_type);
      names.source = typeName(row.desc.errors.reference_type);
      names.granularity = kGranularities[NIB_GRANULARITY_TENSOR];
      names.m = row.desc.errors.rows;
      names.k = row.desc.errors.cols;
      break;
    case NIB_OP_INT8_GEMM: {
      const NibInt8GemmDesc& d = row.desc.int8_gemm;
      describe(d.weights);
      names.source = d.input.format == NIB_FORMAT_INT8 ? "int8" : "uint8";
      names.result = typeName(d.result_type);
      if (d.input.flags & NIB_WEIGHTS_ASYMMETRIC) names.modes.emplace_back("asymmetric input");
      names.m = d.rows;
      names.n = d.tokens;
      names.k = d.cols;
      break;
    }
    case NIB_OP_DYNAMIC_GEMM: {
      const NibDynamicGemmDesc& d = row.desc.dynamic_gemm;
      describe(d.weights);
      names.source = typeName(d.source_type);
      names.result = typeName(d.result_type);
      if (d.outlier_threshold != 0) names.modes.emplace_back("outliers");
      names.m = d.rows;
      names.n = d.tokens;
      names.k = d.cols;
      break;
    }
    case NIB_OP_HISTOGRAM:
      names.type = names.source = typeName(row.desc.histogram.source_type);
      names.granularity = kGranularities[row.desc.histogram.granularity & 3u];
      if (row.desc.histogram.flags & NIB_HISTOGRAM_SIGNED) names.modes.emplace_back("signed");
      if (row.recipe == cases::Recipe::kRelu) names.modes.emplace_back("relu");
      if (row.recipe == cases::Recipe::kOutlier) names.modes.emplace_back("outliers");
      names.m = row.desc.histogram.rows;
      names.k = row.desc.histogram.cols;
      break;
    case NIB_OP_MOMENTS:
      names.type = names.source = typeName(row.desc.moments.source_type);
      names.granularity = kGranularities[row.desc.moments.granularity & 3u];
      names.m = row.desc.moments.rows;
      names.k = row.desc.moments.cols;
      break;
    default:
      names.type = names.source = typeName(row.desc.minmax.source_type);
      names.granularity = kGranularities[row.desc.minmax.granularity & 3u];
      names.m = row.desc.minmax.rows;
      names.k = row.desc.minmax.cols;
  }
  return names;
}

double multiplyAdds(const cases::Case& row) {
  const auto of = [](const auto& d, uint32_t batch) { return double(d.rows) * d.cols * d.tokens * std::max(batch, 1u); };
  if (row.op() == NIB_OP_INT8_GEMM) return of(row.desc.int8_gemm, row.desc.int8_gemm.batch);
  if (row.op() == NIB_OP_DYNAMIC_GEMM) return of(row.desc.dynamic_gemm, 1);
  return row.op() == NIB_OP_MATMUL ? of(row.desc.matmul, row.desc.matmul.batch) : 0;
}

uint64_t bytesMoved(const cases::Case& row) {
  NibMemory memory;
  if (nibGetMemory(&row.desc.op, nullptr, &memory) != NIB_SUCCESS) return 0;
  uint64_t bytes = memory.range[NIB_ROLE_INPUT].size_bytes + memory.range[NIB_ROLE_OUTPUT].size_bytes;
  for (const NibPart part : {NIB_PART_CODES, NIB_PART_SCALES, NIB_PART_ZEROS, NIB_PART_NESTED}) bytes += memory.part[part].size_bytes;
  return bytes;
}

}  // namespace nib::bench
