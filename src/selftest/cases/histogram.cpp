// Cases of histogram: new and continued, of magnitudes and signed, few and many bins.
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibHistogramDesc;

constexpr uint32_t kGranularities[] = {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN};

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  constexpr uint32_t kBins[] = {2048, 128, 4096, 512};
  Counter counter;
  for (const uint32_t granularity : kGranularities) {
    for (const Shape& shape : kShapes) {
      for (uint32_t flags = 0; flags < 4; ++flags) {
        ++counter.i;
        if (extent == Extent::kQuick && counter.pick(4) != 0) continue;
        Case c;
        c.seed = counter.i;
        c.recipe = counter.recipe();
        Desc& d = c.describe<Desc>(NIB_OP_HISTOGRAM);
        d.flags = flags;
        d.rows = shape.rows;
        d.cols = shape.cols;
        d.source_type = uint32_t(counter.i / 4 % 3);
        d.granularity = granularity;
        d.bins = kBins[counter.i / 3 % 4];
        // Thousands of histograms need only few bins to be distinct.
        if (granularity == NIB_GRANULARITY_COLUMN && shape.cols > 600) d.bins = shape.cols > 5000 ? 128 : 512;
        if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
        c.n = rowsOfRun(counter, shape.rows);
        list.push_back(c);
      }
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.source_type) + " per " + granularityName(d.granularity) + " " +
                     std::to_string(d.bins) + " bins";
  if (d.flags & NIB_HISTOGRAM_SIGNED) text += " signed";
  if (d.flags & NIB_HISTOGRAM_ACCUMULATE) text += " accumulate";
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

// Histograms with any exponents, some empty; counts near 0 and 2^32.
void fillHistograms(const NibMemory& memory, uint64_t seed, Words& words) {
  const NibMemoryPart& heads = memory.part[NIB_PART_HEADS];
  const NibMemoryPart& counts = memory.part[NIB_PART_COUNTS];
  const size_t histograms = size_t(heads.size_bytes / sizeof(NibHistogramHead));
  Random random(seed ^ 0x4157);
  for (size_t h = 0; h < histograms; ++h) {
    const uint32_t kind = random.below(8);
    const bool empty = kind == 0;
    const uint32_t exponent = empty ? 0 : kind == 1 ? 254 : kind == 2 ? 1 + random.below(254) : 110 + random.below(24);
    NibHistogramHead head{exponent, 0, 0, 0, 0, 0};
    if (!empty)
      head = {exponent, 0, -float(random.unit()), float(random.unit()), random.next() >> 8, random.next() >> 31};
    std::memcpy(&words[size_t(heads.offset_bytes / 4) + 8 * h], &head, sizeof head);
    const size_t per_histogram = size_t(counts.size_bytes / 4) / histograms;
    for (size_t i = 0; i < per_histogram; ++i) {
      const uint32_t low = random.below(3) == 0 ? 0u - random.below(3) : random.bits();
      words[size_t(counts.offset_bytes / 4) + h * per_histogram + i] = empty        ? 0
                                                                       : i % 2 == 0 ? low
                                                                                    : random.below(1000);
    }
  }
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_INPUT) range = makeNumbers(c.recipe, d.source_type, memory.range[role].size_bytes, c.seed);
  if (role == NIB_ROLE_OUTPUT && (d.flags & NIB_HISTOGRAM_ACCUMULATE)) fillHistograms(memory, c.seed, range);
}

Lines lines(const Desc& d, const NibMemory&, NibRole role, NibPart part) {
  if (part == NIB_PART_HEADS) return {0, 8 * sizeof(NibHistogramHead)};
  if (part == NIB_PART_COUNTS) return {uint64_t(d.bins) * 64, 64};
  return role == NIB_ROLE_INPUT ? linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols)
                                : Lines{};
}

Case plain(uint32_t rows, uint32_t cols, uint32_t granularity, uint32_t bins, uint32_t flags, Recipe recipe) {
  Case c;
  c.recipe = recipe;
  c.seed = 600 + rows;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_HISTOGRAM);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.source_type = NIB_TYPE_F32;
  d.granularity = granularity;
  d.bins = bins;
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  constexpr uint32_t kGoesOn = NIB_HISTOGRAM_ACCUMULATE, kSigned = NIB_HISTOGRAM_SIGNED;
  switch (purpose) {
    case Large::kTails:
      forEachTail([&](const Shape& shape, uint32_t granularity) {
        list.push_back(plain(shape.rows, shape.cols, granularity, 128, kGoesOn, Recipe::kMixed));
      });
      break;
    case Large::kSlices:
      for (const uint32_t granularity : kGranularities) {
        const uint32_t flags = granularity == NIB_GRANULARITY_ROW ? 0u : kGoesOn;
        list.push_back(plain(kSliceShape.rows, kSliceShape.cols, granularity, 128, flags, Recipe::kNonFinite));
      }
      break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(3, kWindowShape.cols + 5, NIB_GRANULARITY_TENSOR, 1024, kSigned | kGoesOn, Recipe::kBits));
      list.push_back(plain(kWindowShape.rows, 1023, NIB_GRANULARITY_COLUMN, 1024, kSigned | kGoesOn, Recipe::kBits));
      break;
    case Large::kNarrowWindows:
      // Tiles of a CPU's histograms are as large as the lists' tensors.
      list.push_back(plain(9, 20000, NIB_GRANULARITY_ROW, 1024, kSigned | kGoesOn, Recipe::kBits));
      break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        Case c = plain(shape.rows, shape.cols, shape.weights.granularity, 128, shape.variant % 4, Recipe::kMixed);
        c.as<Desc>().source_type = shape.variant % 3;
        c.as<Desc>().source_stride = shape.stride;
        if (shape.oneGranularity()) list.push_back(c);
      });
  }
}

// As in `nibble calibrate`. Each starts a new histogram, so that every repetition gives the same counts.
void listBench(const BenchRequest& request, BenchList& rows) {
  constexpr uint32_t kTensorBins = 4096, kColumnBins = 1024;
  const auto add = [&](uint32_t order, BenchSharing sharing, uint32_t bins, Recipe recipe) {
    const Case c = plain(request.shape.m, request.shape.k, sharing.granularity, bins, NIB_HISTOGRAM_SIGNED, recipe);
    rows.add(order, request.shape, c, 0, recipe);
  };
  if (request.part == BenchPart::kQuick) add(kQuickDense, kPerTensor, kTensorBins, Recipe::kNormal);
  if (request.part == BenchPart::kCalibrateTails) add(0, kPerTensor, kTensorBins, Recipe::kNormal);
  if (request.part != BenchPart::kCalibrate) return;
  // The cost of counting depends on how many elements share a bin.
  for (const Recipe recipe : {Recipe::kNormal, Recipe::kRelu, Recipe::kOutlier}) {
    add(0, kPerTensor, kTensorBins, recipe);
    add(0, kPerColumn, kColumnBins, recipe);
  }
}

void nameBench(const Case& c, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(d.source_type);
  names.granularity = granularityName(d.granularity);
  if (d.flags & NIB_HISTOGRAM_SIGNED) names.modes.emplace_back("signed");
  if (c.recipe == Recipe::kRelu) names.modes.emplace_back("relu");
  if (c.recipe == Recipe::kOutlier) names.modes.emplace_back("outliers");
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_HISTOGRAM,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.granularity | d.flags << 4); },
    .fill = fill,
    .lines = lines,
    .large = addLarge,
    .bench = {.list = listBench, .names = nameBench, .data = denseInput<Desc>},
};

}  // namespace

NIB_DEFINE_CASES(histogram, NibHistogramDesc, kCases)

}  // namespace nib::selftest
