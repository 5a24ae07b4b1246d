// Cases of convert: every pair of types over every shape.
#include "selftest/lists.h"

namespace nib::selftest {
namespace {

using Desc = NibConvertDesc;

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  Counter counter;
  for (size_t s = 0; s < std::size(kShapes); ++s) {
    for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
      ++counter.i;
      if (extent == Extent::kQuick && !quickPair(s, pair)) continue;
      const Shape& shape = kShapes[s];
      Case c;
      c.seed = counter.i;
      // Where 16-bit types round and end, if they may have to.
      const bool narrows = pair / 3 == NIB_TYPE_F32 && pair % 3 != NIB_TYPE_F32;
      c.recipe = narrows ? Recipe::kNarrow : counter.i % 2 == 0 ? Recipe::kBits : counter.recipe();
      Desc& d = c.describe<Desc>(NIB_OP_CONVERT);
      d.flags = narrows ? NIB_CONVERT_STATUS | (s % 2 != 0 ? uint32_t(NIB_CONVERT_SATURATE) : 0u) : counter.pick(4);
      d.rows = shape.rows;
      d.cols = shape.cols;
      d.source_type = pair / 3;
      d.result_type = pair % 3;
      if (counter.i % 5 == 3) d.source_stride = shape.cols + 1 + counter.pick(9);
      if (counter.i % 7 == 2) d.result_stride = (shape.cols + 3) / 2 * 2 + 2 * counter.pick(4);
      c.n = rowsOfRun(counter, shape.rows);
      list.push_back(c);
    }
  }
}

std::string name(const Case& c, const Desc& d) {
  std::string text = std::string(" ") + typeName(d.source_type) + " -> " + typeName(d.result_type);
  if (d.flags & NIB_CONVERT_SATURATE) text += " saturate";
  if (d.flags & NIB_CONVERT_STATUS) text += " status";
  if (d.result_stride != 0) text += " stride " + std::to_string(d.result_stride);
  return text + dimsName(d.rows, d.cols, d.source_stride, c.n) + dataName(c);
}

void fill(const Case& c, const Desc& d, const NibMemory& memory, NibRole role, Words& range) {
  if (role == NIB_ROLE_INPUT) range = makeNumbers(c.recipe, d.source_type, memory.range[role].size_bytes, c.seed);
}

Case plain(uint32_t rows, uint32_t cols, uint32_t source_type, uint32_t result_type, uint32_t flags, Recipe recipe) {
  Case c;
  c.recipe = recipe;
  c.seed = 700 + rows;
  c.n = rows;
  Desc& d = c.describe<Desc>(NIB_OP_CONVERT);
  d.flags = flags;
  d.rows = rows;
  d.cols = cols;
  d.source_type = source_type;
  d.result_type = result_type;
  return c;
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
      for (const Shape& shape : kDenseTails) {
        list.push_back(plain(shape.rows, shape.cols, NIB_TYPE_F32, NIB_TYPE_F16, 0, Recipe::kMixed));
      }
      break;
    case Large::kSlices:
      // Contiguous, and rows with gaps.
      for (const uint32_t gap : {0u, 4u}) {
        const Shape& shape = kSliceShape;
        Case c = plain(shape.rows, shape.cols, NIB_TYPE_F32, NIB_TYPE_BF16, NIB_CONVERT_STATUS, Recipe::kNonFinite);
        if (gap != 0) c.as<Desc>().source_stride = c.as<Desc>().result_stride = shape.cols + gap;
        list.push_back(c);
      }
      break;
    case Large::kWindows:
      list.push_back(plain(3, kWindowShape.cols, NIB_TYPE_F32, NIB_TYPE_F16, NIB_CONVERT_STATUS, Recipe::kBits));
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(kWindowShape.rows, 1025, NIB_TYPE_BF16, NIB_TYPE_F32, NIB_CONVERT_STATUS, Recipe::kBits));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        const uint32_t variant = shape.variant;
        Case c = plain(shape.rows, shape.cols, variant % 3, variant / 3 % 3, variant % 4, Recipe::kMixed);
        c.as<Desc>().source_stride = shape.stride;
        c.as<Desc>().result_stride = (variant % 2 != 0 ? shape.stride + 1 : 0) / 2 * 2;
        list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (uint32_t pair = 0; pair < kTypePairs; ++pair) {
    const uint32_t from = pair / 3, to = pair % 3;
    const uint32_t flags = NIB_CONVERT_STATUS | (pair % 2 != 0 ? uint32_t{NIB_CONVERT_SATURATE} : 0u);
    list.push_back({std::string("convert ") + typeName(from) + " " + typeName(to),
                    plain(kVerifiedShape.rows, kVerifiedShape.cols, from, to, flags, Recipe::kMixed)});
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, NibType source, NibType result) {
    rows.add(order, request.shape, plain(request.shape.m, request.shape.k, source, result, 0, Recipe::kNormal));
  };
  switch (request.part) {
    case BenchPart::kQuick:
      add(kQuickDense, NIB_TYPE_F32, NIB_TYPE_F16);
      add(kQuickDense, NIB_TYPE_BF16, NIB_TYPE_F32);
      break;
    case BenchPart::kEveryWay:
      for (const NibType type : kBenchTypes) {
        for (const NibType other : kBenchTypes) {
          if (other != type) add(kEveryDense + 1000 * type, type, other);
        }
      }
      break;
    case BenchPart::kTails: add(kTailsDense, NIB_TYPE_F32, NIB_TYPE_F16); break;
    default: break;
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = typeName(d.result_type);
  names.source = typeName(d.source_type);
  names.granularity = granularityName(NIB_GRANULARITY_TENSOR);
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_CONVERT,
    .list = list,
    .name = name,
    .kind = [](const Desc& d) { return uint64_t(d.source_type * 4u + d.result_type); },
    .fill = fill,
    .lines =
        [](const Desc& d, const NibMemory&, NibRole role, NibPart) {
          if (role == NIB_ROLE_OUTPUT) return linesOfResult(d.result_type, d.result_stride, d.cols);
          return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
        },
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench, .data = denseInput<Desc>},
};

}  // namespace

NIB_DEFINE_CASES(convert, NibConvertDesc, kCases)

}  // namespace nib::selftest
