// Cases of select: one element, few and many, rows in one piece and in several, in registers and read again; equal
// numbers, masked ones and NaN. Elements and columns must be exact, the log-sum-exp is judged by its bound.
#include <cmath>
#include <cstring>
#include <numeric>

#include "selftest/bounds.h"
#include "selftest/lists.h"
#include "selftest/logits.h"

namespace nib::selftest {
namespace {

using Desc = NibSelectDesc;

// Rows of logits instead of the recipe kNormal.
constexpr Recipe kData[] = {Recipe::kNormal, Recipe::kZeros, Recipe::kNormal, Recipe::kNonFinite, Recipe::kNormal,
                            Recipe::kBits,   Recipe::kTies,  Recipe::kNormal, Recipe::kDenormal,  Recipe::kRange,
                            Recipe::kNormal, Recipe::kMixed, Recipe::kRelu};
constexpr uint32_t kCounts[] = {1, 2, 1, 5, 64, 1024, 257, 33, UINT32_MAX};

Case select(uint32_t rows, uint32_t cols, uint32_t count, uint32_t type, Recipe recipe, uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_SELECT);
  d.rows = rows;
  d.cols = cols;
  d.source_type = type;
  d.count = std::min({count, cols, uint32_t(NIB_SELECT_MAX_COUNT)});
  return c;
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  // Many long rows, and rows beyond the pieces that stay in registers.
  constexpr Shape kMore[] = {{67, 4200}, {1, 270001}};
  Counter counter;
  const auto add = [&](const Shape& shape, uint32_t every) {
    for (const uint32_t count : kCounts) {
      ++counter.i;
      if (counter.pick(every) != 0) continue;
      const Recipe recipe = kData[counter.i % std::size(kData)];
      Case c = select(shape.rows, shape.cols, count, counter.pick(3), recipe, counter.i);
      if (counter.i % 5 == 3) c.as<Desc>().source_stride = shape.cols + 1 + counter.pick(5);
      c.n = rowsOfRun(counter, shape.rows);
      list.push_back(c);
    }
  };
  for (uint32_t repeat = 0; repeat < (extent == Extent::kQuick ? 1u : 3u); ++repeat) {
    for (const Shape& shape : kShapes) add(shape, extent == Extent::kQuick ? 2 : 1);
  }
  for (const Shape& shape : kMore) add(shape, extent == Extent::kQuick ? 3 : 1);
}

std::string name(const Case& c, const Desc& d) {
  const std::string data = c.recipe == Recipe::kNormal ? ", logits seed " + std::to_string(c.seed) : dataName(c);
  return std::string(" ") + typeName(d.source_type) + " count " + std::to_string(d.count) +
         dimsName(d.rows, d.cols, d.source_stride, c.n) + data;
}

uint32_t strideOf(const Desc& d) { return d.source_stride != 0 ? d.source_stride : d.cols; }

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role != NIB_ROLE_INPUT) return;
  range = c.recipe == Recipe::kNormal
              ? makeLogits({d.rows, d.cols, strideOf(d), d.source_type, c.seed, false})
              : makeNumbers(c.recipe, d.source_type, memory.range[NIB_ROLE_INPUT].size_bytes, c.seed);
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (role == NIB_ROLE_INPUT) return linesOfDense(d.source_type, strideOf(d));
  if (part == NIB_PART_RESULT || part == NIB_PART_RESULT_INDICES) return {uint64_t(d.count) * 32, 32};
  return {0, 32};
}

// --------------------------------------------------------------------------------------------- exact
double flushed(double x) { return std::abs(x) < 0x1p-126 ? 0 : x; }

struct ExactRow {
  std::vector<uint32_t> order;  // columns, the largest element's first
  std::vector<double> element;  // by column
  double log_sum = 0, bound = 0;
};

ExactRow exactRow(const Desc& d, const Judged& judged, uint64_t row) {
  ExactRow exact;
  exact.order.resize(d.cols);
  exact.element.resize(d.cols);
  std::iota(exact.order.begin(), exact.order.end(), 0u);
  double max = -0x1p60, sum = 0;
  const void* source = judged.before[NIB_ROLE_INPUT];
  for (uint32_t col = 0; col < d.cols; ++col) {
    const uint64_t at = row * strideOf(d) + col;
    exact.element[col] = flushed(elementOf(source, d.source_type, at));
    max = std::max(max, logitOf(source, d.source_type, at));
  }
  for (uint32_t col = 0; col < d.cols; ++col)
    sum += std::exp(logitOf(source, d.source_type, row * strideOf(d) + col) - max);
  exact.log_sum = max + std::log(sum);
  exact.bound = 0x1p-20 * (3 + std::log(sum)) + 0x1p-23 * std::abs(exact.log_sum);
  const auto before = [&](uint32_t a, uint32_t b) {
    const double x = exact.element[a], y = exact.element[b];
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) == std::isnan(y) ? a < b : std::isnan(y);
    return x != y ? x > y : a < b;
  };
  std::partial_sort(exact.order.begin(), exact.order.begin() + d.count, exact.order.end(), before);
  exact.order.resize(d.count);
  return exact;
}

void judgeRow(const Desc& d, const Judged& judged, uint64_t row, FarthestSoFar& farthest) {
  constexpr double kExact = 0x1p-149;
  const ExactRow exact = exactRow(d, judged, row);
  const auto wordOf = [&](NibPart part, uint64_t i) { return judged.memory.part[part].offset_bytes / 4 + i; };
  const auto judge = [&](uint64_t word, double value, double bound) {
    double got = elementOf(judged.output, NIB_TYPE_F32, word);
    // Any NaN equals any other NaN, and nothing else.
    if (std::isnan(value)) got = std::isnan(got) ? 0 : std::nan(""), value = 0, bound = kExact;
    if (got == value) got = value = 0;  // infinite
    farthest.add(word, got, value, bound);
  };
  for (uint32_t i = 0; i < d.count; ++i) {
    const uint64_t word = wordOf(NIB_PART_RESULT, row * d.count + i);
    judge(word, exact.element[exact.order[i]], kExact);
    if (judged.output[word] == 0x80000000u) farthest.add(word, -1, 0, kExact);
    const uint64_t index = wordOf(NIB_PART_RESULT_INDICES, row * d.count + i);
    farthest.add(index, judged.output[index], exact.order[i], kExact);
  }
  judge(wordOf(NIB_PART_LOG_SUM, row), exact.log_sum, exact.bound);
}

Farthest farthest(const Desc& d, const Judged& judged) {
  FarthestSoFar farthest(1e300);
  const uint64_t elements = uint64_t(judged.n) * d.cols;
  const uint64_t step = 1 + elements / std::max<uint64_t>(judged.most_products, d.cols);
  for (uint64_t row = 0; row < judged.n; row += step) judgeRow(d, judged, row, farthest);
  if (judged.n > 1 && step > 1) judgeRow(d, judged, judged.n - 1, farthest);
  return farthest.result();
}

// --------------------------------------------------------------------------------------------- other sizes
Case plain(uint32_t rows, uint32_t cols, uint32_t count, uint32_t type = NIB_TYPE_F32) {
  return select(rows, cols, count, type, Recipe::kNormal, 700 + rows);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) list.push_back(plain(shape.rows, shape.cols, 40));
      break;
    case Large::kSlices:
      for (const uint32_t count : {1u, 50u}) list.push_back(plain(kSliceShape.rows, kSliceShape.cols, count));
      list.push_back(plain(30, 128256, 64));
      break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(kWindowShape.rows, 1023, 3));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        Case c = plain(shape.rows, shape.cols, kCounts[shape.variant % std::size(kCounts)], shape.variant % 3);
        c.as<Desc>().source_stride = shape.stride;
        if (shape.weights.granularity == NIB_GRANULARITY_ROW) list.push_back(c);
      });
      for (const uint32_t count : {1u, 64u, 1000u}) {
        for (const uint32_t rows : {1u, 32u, 512u}) list.push_back(plain(rows, 128256, count, rows % 3));
      }
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t type = 0; type < 3; ++type) {
    for (const uint32_t count : {1u, 64u}) {
      const std::string text = "select " + std::to_string(count) + " " + typeName(type);
      list.push_back({text, plain(kVerifiedShape.rows, kVerifiedShape.cols, count, type)});
      list.push_back({text + " in pieces", plain(3, 12345, count, type)});
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  const auto add = [&](const BenchShape& shape, uint32_t count) {
    rows.add(kQuickDense, shape, select(shape.m, shape.k, count, NIB_TYPE_F32, Recipe::kNormal, 0));
  };
  add(request.shape, 1);
  if (request.given) return;
  // The next token of a sequence, and of several.
  for (const uint32_t count : {1u, 64u, uint32_t(NIB_SELECT_MAX_COUNT)}) add({1, 1, 128256}, count);
  add({64, 1, 128256}, 1);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(d.source_type);
  names.granularity = granularityName(NIB_GRANULARITY_ROW);
  names.modes.push_back("count " + std::to_string(d.count));
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_SELECT,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t((d.count == 1 ? 1u : 0u) | (d.rows < 64 && d.cols > 4096 ? 2u : 0u)); },
    .fill = fill,
    .lines = lines,
    .bounded = [](const Case&, const Desc&) { return true; },
    .farthest = farthest,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(select, NibSelectDesc, kCases)

}  // namespace nib::selftest
