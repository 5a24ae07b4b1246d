// Cases of search: every way of sharing scales within rows, every mode and shape, runs of rows and of columns, grids of
// one candidate and of as many as there can be.
#include <nibble/formats.h>

#include <cmath>

#include "formats/geometry.h"
#include "numerics/exact.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibSearchDesc;

constexpr Shape kShapes[] = {{33, 130}, {64, 256}, {1, 1}, {37, 1}, {1, 5}, {5, 1000}, {130, 20}, {70, 515}, {17, 336}};
constexpr uint64_t kNoRows = uint64_t(1) << 50;  // bits of a part that is one row

bool byColumns(const Desc& d) { return (d.flags & NIB_SEARCH_COLUMNS) != 0; }
bool hasHessian(const Desc& d) { return (d.flags & NIB_SEARCH_HESSIAN) != 0; }

bool takes(const NibFormatInfo& info) { return (info.flags & (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MEAN_SCALE)) == 0; }
bool takes(const NibWeights& w) {
  return (w.granularity == NIB_GRANULARITY_ROW || w.granularity == NIB_GRANULARITY_GROUP) &&
         (w.flags & NIB_WEIGHTS_NESTED) == 0;
}

Case search(uint32_t rows, uint32_t cols, const NibWeights& weights, uint32_t flags, Recipe recipe, uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  Desc& d = c.describe<Desc>(NIB_OP_SEARCH);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.weights = weights;
  c.n = byColumns(d) ? cols : rows;
  return c;
}

// Few cases have the usual grid: it takes long on a CPU.
void setGrid(Desc& d, const Counter& counter) {
  constexpr uint32_t kSteps[] = {5, 17, 1, 33, 0, 11, 129, 2, 256, 16, 40};
  constexpr float kLeast[] = {0, 0.5f, 0.0625f, 0.3f, 1};
  d.steps = kSteps[counter.i % std::size(kSteps)];
  d.least = kLeast[counter.pick(uint32_t(std::size(kLeast)))];
  // A candidate costs as many products as a piece has pairs of columns.
  if (hasHessian(d) && d.cols > 130 && (d.steps == 0 || d.steps > 17)) d.steps = 19;
}

void list(const NibFormatInfo* format, Extent extent, std::vector<Case>& list) {
  if (format == nullptr || !takes(*format)) return;
  const NibFormatInfo& info = *format;
  const std::vector<uint32_t> modes = scaleModes(info);
  Counter counter;
  for (const Sharing& sharing : kSharings) {
    for (const Shape& shape : kShapes) {
      ++counter.i;
      if (!canHave(info, sharing, 0)) continue;
      const uint32_t mode = modes[counter.pick(uint32_t(modes.size()))];
      NibWeights weights = weightsLike(info, sharing, mode, counter.i / 2);
      if (!takes(weights)) continue;
      if (extent == Extent::kQuick && !hasOneGroupSize(info) && counter.pick(4) != 0) continue;
      const bool flat = (weights.flags & NIB_WEIGHTS_FLAT) != 0;
      if (!flat && counter.i % 10 == 7) weights.flags |= NIB_WEIGHTS_ALIGNED;
      uint32_t flags = counter.i % 2 == 0 ? uint32_t(NIB_SEARCH_STATUS) : 0u;
      if (!flat && counter.i % 5 == 3) flags |= NIB_SEARCH_COLUMNS;
      if (!flat && counter.i % 3 != 1) flags |= NIB_SEARCH_HESSIAN;
      Case c = search(shape.rows, shape.cols, weights, flags, counter.recipe(), counter.i);
      Desc& d = c.as<Desc>();
      setGrid(d, counter);
      d.source_type = uint32_t(counter.i / 3 % 3);
      if (!flat && counter.i % 7 == 3) d.source_stride = shape.cols + 1 + counter.pick(5);
      if (!flat && counter.i % 6 == 2) c.n = (c.n + 1) / 2;
      list.push_back(c);
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.source_type) + " -> " + weightsName(d.weights);
  if (d.weights.flags & NIB_WEIGHTS_ALIGNED) text += " aligned";
  if (byColumns(d)) text += " columns";
  if (hasHessian(d)) text += " hessian";
  if (d.flags & NIB_SEARCH_STATUS) text += " status";
  if (d.steps != 0) text += " steps " + std::to_string(d.steps);
  if (d.least != 0) text += " least " + std::to_string(d.least);
  const uint32_t n = byColumns(d) && c.n == d.cols ? d.rows : c.n;
  return text + dimsName(d.rows, d.cols, d.source_stride, n) + dataName(c);
}

// Inputs of very different size, some of which are 0 or not finite in stretches of sixteen; correlated neighbours;
// entries that are too small, too large or not finite to count. NaN above the diagonal.
Words makeHessian(uint32_t cols, uint64_t seed) {
  Random random(seed);
  std::vector<double> size(cols);
  for (uint32_t i = 0; i < cols; ++i) {
    const uint64_t stretch = (seed + i / 16) % 23;
    size[i] = stretch == 5 ? 0.0 : stretch == 11 ? 1e-16 : std::exp2(random.unit() * 12 - 6);
    if (stretch == 17 && i % 16 == 3) size[i] = INFINITY;
    if (stretch == 19) size[i] *= 1e12;
  }
  Words words(size_t(cols) * cols, 0x7fc00000u);
  for (uint32_t i = 0; i < cols; ++i) {
    for (uint32_t j = 0; j <= i; ++j) {
      const double near = i == j ? 1.0 : (random.unit() - 0.5) / (i - j), h = size[i] * size[j] * near;
      // The same bits whatever the thread does with denormal numbers; where there are no inputs, such a number.
      uint32_t bits = std::abs(h) >= 0x1p-126 ? exact::bitsOf(float(h)) : i == j ? 0x00012345u : 0u;
      if (i != j && random.next() % 997 == 0) bits = random.next() % 2 == 0 ? 0x7fc00000u : 0x7149f2cau;
      words[size_t(i) * cols + j] = bits;
    }
  }
  return words;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role != NIB_ROLE_INPUT) return;
  if (!hasHessian(d)) {
    range = makeNumbers(c.recipe, d.source_type, memory.range[role].size_bytes, c.seed);
    return;
  }
  const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
  fillPart(range, source, makeNumbers(c.recipe, d.source_type, source.size_bytes, c.seed));
  fillPart(range, memory.part[NIB_PART_HESSIAN], makeHessian(d.cols, c.seed + 3));
}

Lines lines(const Desc& d, const NibMemory& memory, NibRole role, NibPart part) {
  if (role == NIB_ROLE_WEIGHTS) return linesOfWeights(d.weights, d.rows, memory, part);
  if (part == NIB_PART_HESSIAN) return {kNoRows, 32};
  if (byColumns(d)) return {kNoRows, 32};
  return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
}

// --------------------------------------------------------------------------------------------- other sizes
Case large(uint32_t rows, uint32_t cols, const NibWeights& weights, uint32_t flags, uint32_t steps) {
  Case c = search(rows, cols, weights, flags | NIB_SEARCH_STATUS, Recipe::kOutlier, 801 + rows);
  c.as<Desc>().steps = steps;
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format == nullptr || !takes(*format)) return;
  if (purpose == Large::kPlans) {
    return forEachPlan(format->format, [&](const PlanShape& shape) {
      if (!takes(shape.weights)) return;
      const bool columns = shape.variant % 5 == 2 && hasOwnRows(shape.weights);
      const bool hessian = shape.variant % 4 == 1 && hasOwnRows(shape.weights) && shape.cols < 1u << 15;
      Case c = large(shape.rows, shape.cols, shape.weights,
                     (columns ? uint32_t(NIB_SEARCH_COLUMNS) : 0u) | (hessian ? uint32_t(NIB_SEARCH_HESSIAN) : 0u), 0);
      c.as<Desc>().source_type = shape.variant / 2 % 3;
      c.as<Desc>().source_stride = shape.weightsStride();
      list.push_back(c);
    });
  }
  if (format->format != NIB_FORMAT_INT4) return;  // one kernel, which differs little between formats
  const auto weights = [](NibGranularity granularity, uint32_t group, uint32_t flags = 0) {
    return weightsOf(NIB_FORMAT_INT4, granularity, group, flags, NIB_TYPE_F16);
  };
  switch (purpose) {
    case Large::kTails:
      list.push_back(large(131, 2049, weights(NIB_GRANULARITY_GROUP, 48, NIB_WEIGHTS_ASYMMETRIC), 0, 9));
      list.push_back(large(131, 2049, weights(NIB_GRANULARITY_ROW, 0), 0, 9));
      list.push_back(
          large(131, 1041, weights(NIB_GRANULARITY_GROUP, 48, NIB_WEIGHTS_ASYMMETRIC), NIB_SEARCH_HESSIAN, 9));
      list.push_back(large(31, 1041, weights(NIB_GRANULARITY_ROW, 0), NIB_SEARCH_HESSIAN, 5));
      break;
    case Large::kSlices:
      list.push_back(large(1031, 1556, weights(NIB_GRANULARITY_GROUP, 128), 0, 3));
      list.push_back(large(1031, 1556, weights(NIB_GRANULARITY_GROUP, 64), NIB_SEARCH_COLUMNS, 3));
      list.push_back(large(517, 780, weights(NIB_GRANULARITY_GROUP, 64), NIB_SEARCH_HESSIAN, 3));
      break;
    case Large::kWindows:
      list.push_back(large(3, kWindowShape.cols, weights(NIB_GRANULARITY_GROUP, 128), 0, 1));
      if (options.extent == Extent::kQuick) break;
      list.push_back(large(kWindowShape.rows, 1024, weights(NIB_GRANULARITY_ROW, 0), NIB_SEARCH_COLUMNS, 1));
      list.push_back(large(3, kWindowShape.cols + 7, weights(NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_FLAT), 0, 1));
      break;
    case Large::kNarrowWindows:
      list.push_back(large(300, 704, weights(NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_ASYMMETRIC), 0, 3));
      list.push_back(large(300, 1001, weights(NIB_GRANULARITY_GROUP, 256), NIB_SEARCH_COLUMNS, 3));
      list.push_back(large(50, 704, weights(NIB_GRANULARITY_GROUP, 64, NIB_WEIGHTS_ASYMMETRIC), NIB_SEARCH_HESSIAN, 3));
      break;
    case Large::kPlans: break;
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format == nullptr || !takes(*format)) return;
  forEachVerified(*format, [&](const NibWeights& weights, uint32_t type, const std::string& text) {
    if (!takes(weights)) return;
    Case c = large(kVerifiedShape.rows, kVerifiedShape.cols, weights, 0, 0);
    c.as<Desc>().source_type = type;
    list.push_back({"search " + text, c});
    if (weights.flags & NIB_WEIGHTS_FLAT) return;
    c.as<Desc>().flags |= NIB_SEARCH_HESSIAN;
    c.as<Desc>().steps = 20;
    list.push_back({"search " + text + " hessian", c});
  });
}

// --------------------------------------------------------------------------------------------------- bench
void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, const NibFormatInfo& info, BenchSharing sharing, NibType type,
                       uint32_t weights_flags = 0, uint32_t flags = 0) {
    Case c = search(request.shape.m, request.shape.k, benchWeights(info, sharing, weights_flags),
                    NIB_SEARCH_STATUS | flags, Recipe::kNormal, 0);
    if (flags & NIB_SEARCH_HESSIAN) {
      c.as<Desc>().steps = 20;
      c.as<Desc>().least = 0.5f;
    }
    c.as<Desc>().source_type = type;
    rows.add(order, request.shape, c);
  };
  for (uint32_t i = 0; i < nibFormatCount(); ++i) {
    const NibFormatInfo& info = *nibFormatAt(i);
    if (!takes(info) || !takes(benchWeights(info, usualSharing(info)))) continue;
    if (request.part == BenchPart::kQuick) {
      add(kQuickQuantize + i, info, usualSharing(info), NIB_TYPE_F32);
    } else if (request.part == BenchPart::kEveryWay && inEveryWay(info)) {
      add(kEveryQuantize + i, info, kPerGroup128, NIB_TYPE_F32, NIB_WEIGHTS_ASYMMETRIC);
      add(kEveryQuantize + i, info, kPerRow, NIB_TYPE_F32);
      add(kEveryQuantize + i, info, kPerGroup128, NIB_TYPE_F32, NIB_WEIGHTS_ASYMMETRIC, NIB_SEARCH_HESSIAN);
    }
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.describe(d.weights);
  if (hasHessian(d)) names.modes.push_back("hessian");
  names.source = typeName(d.source_type);
  names.m = d.rows;
  names.k = d.cols;
}

RowData benchData(const Case& c, const Desc& d, NibRole role) {
  return hasHessian(d) && role == NIB_ROLE_INPUT ? RowData{} : denseInput(c, d, role);
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_SEARCH,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return sharingKind(d.weights, d.flags); },
    .fill = fill,
    .weights = [](Desc& d) { return &d.weights; },
    .lines = lines,
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench, .data = benchData},
};

}  // namespace

NIB_DEFINE_CASES(search, NibSearchDesc, kCases)

}  // namespace nib::selftest
