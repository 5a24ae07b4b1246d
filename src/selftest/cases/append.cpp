// Cases of append: every pair of types over every shape, and every kind of quantized cache; rows in any order over
// larger and smaller caches, and some that the cache lacks.
#include <nibble/formats.h>

#include "selftest/caches.h"
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibAppendDesc;

Case append(uint32_t tokens, uint32_t cols, uint32_t cache_rows, uint32_t source, uint32_t type, Recipe recipe,
            uint64_t seed) {
  Case c;
  c.recipe = recipe;
  c.seed = seed;
  c.n = tokens;
  Desc& d = c.describe<Desc>(NIB_OP_APPEND);
  d.tokens = tokens;
  d.cols = cols;
  d.cache_rows = cache_rows;
  d.source_type = source;
  d.cache.scale_type = type;
  return c;
}

bool isDense(const Desc& d) { return d.cache.format == NIB_FORMAT_DENSE; }

// Columns that are whole groups.
uint32_t groupedCols(const NibWeights& cache, uint32_t cols) {
  const uint32_t group = cache.group_size != 0 ? cache.group_size : 32;
  return (cols + group - 1) / group * group;
}

Case coded(uint32_t tokens, uint32_t cols, uint32_t cache_rows, uint32_t source, const NibWeights& cache, Recipe recipe,
           uint64_t seed) {
  Case c = append(tokens, groupedCols(cache, cols), cache_rows, source, 0, recipe, seed);
  c.as<Desc>().cache = cache;
  return c;
}

// One group, and more than a workgroup of them; counts of groups that fill their words and that do not.
constexpr Shape kCodedShapes[] = {{1, 1}, {33, 130}, {5, 1000}, {130, 40}, {3, 4097}, {64, 256}, {17, 330}};

void listCoded(Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (const NibWeights& cache : cacheWays()) {
    for (const Shape& shape : kCodedShapes) {
      ++counter.i;
      if (extent == Extent::kQuick && counter.i % 4 != 1) continue;
      const Recipe recipe = counter.i % 3 == 0 ? Recipe::kBits : counter.recipe();
      const uint32_t rows = counter.i % 3 == 0   ? shape.rows
                            : counter.i % 3 == 1 ? shape.rows * 3 + 5
                                                 : (shape.rows + 1) / 2;
      Case c = coded(shape.rows, shape.cols, rows, uint32_t(counter.i % 3), cache, recipe, counter.i);
      Desc& d = c.as<Desc>();
      if (counter.pick(4) == 0) d.source_stride = d.cols + 1 + counter.pick(9);
      c.n = rowsOfRun(counter, shape.rows);
      list.push_back(c);
    }
  }
}

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (size_t s = 0; s < std::size(kShapes); ++s) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      ++counter.i;
      if (extent == Extent::kQuick && !quickPair(s, pair)) continue;
      const Shape& shape = kShapes[s];
      const bool narrows = pair / 3 == NIB_TYPE_F32 && pair % 3 != NIB_TYPE_F32;
      const Recipe recipe = narrows ? Recipe::kNarrow : counter.i % 2 == 0 ? Recipe::kBits : counter.recipe();
      // More rows than tokens, as many, and fewer.
      const uint32_t rows = counter.i % 3 == 0   ? shape.rows
                            : counter.i % 3 == 1 ? shape.rows * 3 + 5
                                                 : (shape.rows + 1) / 2;
      Case c = append(shape.rows, shape.cols, rows, pair / 3, pair % 3, recipe, counter.i);
      Desc& d = c.as<Desc>();
      if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.pick(9);
      if (counter.i % 7 == 2) d.cache_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.pick(4);
      c.n = rowsOfRun(counter, shape.rows);
      list.push_back(c);
    }
  }
  listCoded(extent, list);
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.source_type) + " -> " + cacheName(d.cache) + " cache of " +
                     std::to_string(d.cache_rows);
  if (d.cache_stride != 0) text += " stride " + std::to_string(d.cache_stride);
  return text + dimsName(d.tokens, d.cols, d.source_stride, c.n) + dataName(c);
}

// Distinct row numbers all over the cache, in any order; one in nine is beyond its last row.
Words makeRows(const Desc& d, uint64_t seed) {
  Random random(seed ^ 0xca5e);
  const uint32_t step = std::max(d.cache_rows / d.tokens, 1u);
  Words rows(d.tokens);
  for (uint32_t i = 0; i < d.tokens; ++i) {
    const uint32_t other = random.below(i + 1);
    rows[i] = rows[other];
    rows[other] = i * step + random.below(step);
  }
  for (uint32_t& row : rows) {
    if (random.below(9) == 0) row = random.below(2) != 0 ? d.cache_rows : random.bits() | 0x80000000u;
  }
  return rows;
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role != NIB_ROLE_INPUT) return;
  const NibMemoryPart& source = memory.part[NIB_PART_SOURCE];
  fillPart(range, source, makeNumbers(c.recipe, d.source_type, source.size_bytes, c.seed));
  fillPart(range, memory.part[NIB_PART_INDICES], makeRows(d, c.seed));
}

Case plain(uint32_t tokens, uint32_t cols, uint32_t cache_rows, uint32_t source, uint32_t type) {
  return append(tokens, cols, cache_rows, source, type, Recipe::kBits, 700 + tokens);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions&, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) {
        list.push_back(plain(shape.rows, shape.cols, shape.rows + 9, NIB_TYPE_F32, NIB_TYPE_F16));
      }
      break;
    case Large::kSlices:
      list.push_back(plain(kSliceShape.rows, kSliceShape.cols, kSliceShape.rows, NIB_TYPE_F32, NIB_TYPE_BF16));
      list.push_back(coded(kSliceShape.rows, kSliceShape.cols, kSliceShape.rows, NIB_TYPE_F32,
                           weightsOf(NIB_FORMAT_INT4, NIB_GRANULARITY_GROUP, 32, NIB_WEIGHTS_ASYMMETRIC, NIB_TYPE_F16),
                           Recipe::kNormal, 701));
      break;
    case Large::kWindows:
      // A cache of 140 MiB.
      list.push_back(plain(2000, 1025, 35000, NIB_TYPE_BF16, NIB_TYPE_F32));
      break;
    case Large::kNarrowWindows:
      list.push_back(plain(70, 128, 3001, NIB_TYPE_F32, NIB_TYPE_F16));
      list.push_back(plain(70, 3, 9001, NIB_TYPE_F16, NIB_TYPE_BF16));
      for (const NibWeights& cache : cacheWays()) {
        list.push_back(coded(70, 192, 4001, NIB_TYPE_F32, cache, Recipe::kMixed, 702));
      }
      break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        if (shape.weights.granularity != NIB_GRANULARITY_ROW) return;
        const uint32_t variant = shape.variant;
        Case c = plain(std::min(shape.rows, 512u), shape.cols, shape.rows, variant % 3, variant / 3 % 3);
        c.as<Desc>().source_stride = shape.stride;
        c.as<Desc>().cache_stride = (variant % 2 != 0 ? shape.stride + 1 : 0) / 2 * 2;
        list.push_back(c);
      });
      for (const NibWeights& cache : cacheWays()) {
        list.push_back(coded(1, 1024, 4096, NIB_TYPE_F32, cache, Recipe::kNormal, 703));
        list.push_back(coded(512, 4096, 512, NIB_TYPE_F16, cache, Recipe::kNormal, 704));
      }
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
    list.push_back({std::string("append ") + typeName(pair / 3) + " " + typeName(pair % 3),
                    plain(kVerifiedShape.rows, kVerifiedShape.cols, 300, pair / 3, pair % 3)});
  }
  for (const NibWeights& cache : cacheWays()) {
    const uint32_t source = uint32_t(list.size() % 3);
    list.push_back({"append " + std::string(typeName(source)) + " " + cacheName(cache),
                    coded(kVerifiedShape.rows, kVerifiedShape.cols, 300, source, cache, Recipe::kMixed, 705)});
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  if (request.part != BenchPart::kQuick) return;
  const auto add = [&](NibType source, NibType type) {
    rows.add(kQuickDense, request.shape,
             append(request.shape.m, request.shape.k, request.shape.m, source, type, Recipe::kNormal, 0));
  };
  add(NIB_TYPE_F32, NIB_TYPE_F16);
  add(NIB_TYPE_F16, NIB_TYPE_F16);
  for (const NibWeights& cache : cacheWays()) {
    if (cache.group_size != 0 && cache.group_size != 32) continue;
    rows.add(kQuickDense, request.shape,
             coded(request.shape.m, request.shape.k, request.shape.m, NIB_TYPE_F16, cache, Recipe::kNormal, 0));
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = typeName(d.cache.scale_type);
  names.granularity = granularityName(NIB_GRANULARITY_TENSOR);
  if (!isDense(d)) names.describe(d.cache);
  names.source = typeName(d.source_type);
  names.m = d.tokens;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_APPEND,
    .list = list,
    .name = name,
    .kind =
        [](const Desc& d) {
          if (isDense(d)) return uint64_t(d.source_type * 4u + d.cache.scale_type);
          return uint64_t(d.cache.format) << 16 | d.cache.flags;
        },
    .fill = fill,
    .weights = [](Desc& d) { return &d.cache; },
    .by_format = false,
    .lines =
        [](const Desc& d, const NibMemory&, NibRole role, NibPart part) {
          if (role == NIB_ROLE_OUTPUT && !isDense(d)) return Lines{cacheRowBytes(d.cache, d.cols) * 8, 32};
          if (role == NIB_ROLE_OUTPUT) return linesOfResult(d.cache.scale_type, d.cache_stride, d.cols);
          if (part == NIB_PART_INDICES) return Lines{};
          return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
        },
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench},
};

}  // namespace

NIB_DEFINE_CASES(append, NibAppendDesc, kCases)

}  // namespace nib::selftest
