// Cases of log_histogram: every number of mantissa bits, of tensors and columns.
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibLogHistogramDesc;

constexpr uint32_t kMostBits = NIB_LOG_HISTOGRAM_MAX_BITS, kMostColumnBits = NIB_LOG_HISTOGRAM_MAX_COLUMN_BITS;

// Every shape and type; fewer bins for many columns, whose histograms would be large, and none for very many.
void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const uint32_t granularity : {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_COLUMN}) {
    const bool columns = granularity == NIB_GRANULARITY_COLUMN;
    for (const Shape& shape : kShapes) {
      for (uint32_t type = 0; type < 3; ++type) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.pick(3) != 0) continue;
        if (columns && shape.cols > 5000) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = counter.recipe();
        Desc& d = c.describe<Desc>(NIB_OP_LOG_HISTOGRAM);
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = type;
        d.granularity = granularity;
        d.mantissa_bits = columns ? uint32_t(counter.i % (kMostColumnBits + 1)) : kMostBits - uint32_t(counter.i % 10);
        if (columns && shape.cols > 300) d.mantissa_bits = shape.cols > 1500 ? 0 : 1;
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
        c.n = rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  return std::string(" ") + typeName(d.source_type) + " per " + granularityName(d.granularity) + " " +
         std::to_string(d.mantissa_bits) + " bits" + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

// Counts near 0 and 2^32.
void fillCounts(uint64_t seed, Words& words) {
  Random random(seed ^ 0x4157);
  for (size_t i = 0; i < words.size(); ++i) {
    words[i] = i % 2 != 0 ? random.below(1000) : random.below(3) == 0 ? 0u - random.below(3) : random.bits();
  }
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_INPUT) range = makeNumbers(c.recipe, d.source_type, memory.range[role].size_bytes, c.seed);
  if (role == NIB_ROLE_OUTPUT) fillCounts(c.seed, range);
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart) {
  if (role == NIB_ROLE_OUTPUT) return {uint64_t(NIB_LOG_HISTOGRAM_BINS(d.mantissa_bits)) * 64, 64};
  return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
}

Case plain(uint32_t rows, uint32_t cols, uint32_t granularity, uint32_t bits, Recipe recipe) {
  Case c;
  c.recipe = recipe;
  c.seed = 650 + rows;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_LOG_HISTOGRAM);
  d.rows = rows;
  d.cols = cols;
  d.source_type = NIB_TYPE_F32;
  d.granularity = granularity;
  d.mantissa_bits = bits;
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      forEachTail([&](const Shape& shape, uint32_t granularity) {
        list.push_back(plain(shape.rows, shape.cols, granularity, 0, Recipe::kMixed));
      });
      break;
    case Large::kSlices:
      list.push_back(plain(kSliceShape.rows, kSliceShape.cols, NIB_GRANULARITY_TENSOR, kMostBits, Recipe::kNonFinite));
      list.push_back(plain(kSliceShape.rows, kSliceShape.cols, NIB_GRANULARITY_COLUMN, 0, Recipe::kNonFinite));
      break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(3, kWindowShape.cols + 5, NIB_GRANULARITY_TENSOR, kMostBits, Recipe::kBits));
      list.push_back(plain(kWindowShape.rows, 1023, NIB_GRANULARITY_COLUMN, 1, Recipe::kBits));
      break;
    case Large::kNarrowWindows:
      // Tiles of a CPU's tensors are as large as the lists' tensors.
      list.push_back(plain(1031, 600, NIB_GRANULARITY_TENSOR, 0, Recipe::kBits));
      list.back().as<Desc>().source_stride = 608;  // contiguous rows are one row
      break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        const bool columns = shape.weights.granularity == NIB_GRANULARITY_COLUMN;
        Case c = plain(shape.rows, shape.cols, shape.weights.granularity,
                       columns ? shape.variant % (kMostColumnBits + 1) : kMostBits - shape.variant % 3, Recipe::kMixed);
        c.as<Desc>().source_type = shape.variant % 3;
        c.as<Desc>().source_stride = shape.stride;
        list.push_back(c);
      });
  }
}

// As in `nibble calibrate`. The cost of counting depends on how many elements share a bin.
void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](BenchSharing sharing, uint32_t bits, Recipe recipe) {
    rows.add(0, request.shape, plain(request.shape.m, request.shape.k, sharing.granularity, bits, recipe), 0, recipe);
  };
  if (request.part == BenchPart::kCalibrateTails) add(kPerTensor, kMostBits, Recipe::kNormal);
  if (request.part != BenchPart::kCalibrate) return;
  for (const Recipe recipe : {Recipe::kNormal, Recipe::kRelu, Recipe::kOutlier}) {
    add(kPerTensor, kMostBits, recipe);
    add(kPerColumn, 2, recipe);
  }
}

void nameBench(const Case& c, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(d.source_type);
  names.granularity = granularityName(d.granularity);
  if (c.recipe == Recipe::kRelu) names.modes.emplace_back("relu");
  if (c.recipe == Recipe::kOutlier) names.modes.emplace_back("outliers");
  names.m = d.rows;
  names.k = d.cols;
}

RowData benchData(const Case& c, const Desc& d, NibRole role) {
  return role == NIB_ROLE_INPUT ? RowData::dense(c, d.source_type) : RowData{};
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_LOG_HISTOGRAM,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.granularity); },
    .fill = fill,
    .lines = lines,
    .large = addLarge,
    .bench = {.list = listBench, .names = nameBench, .data = benchData},
};

}  // namespace

NIB_DEFINE_CASES(log_histogram, NibLogHistogramDesc, kCases)

}  // namespace nib::selftest
