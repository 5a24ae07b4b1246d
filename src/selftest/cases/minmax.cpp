// Cases of minmax: every granularity, shape and type.
#include "selftest/statistics.h"

namespace nib::selftest {
namespace {

using Desc = NibMinMaxDesc;

constexpr uint32_t kGranularities[] = {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_ROW, NIB_GRANULARITY_COLUMN};

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  listStatistics<Desc>(NIB_OP_MINMAX, kGranularities, 4, extent, list);
}

Case plain(uint32_t rows, uint32_t cols, uint32_t granularity, Recipe recipe) {
  return plainStatistics<Desc>(NIB_OP_MINMAX, 400, rows, cols, granularity, recipe);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
    case Large::kSlices: addStatistics(purpose, kGranularities, plain, list); break;
    case Large::kWindows:
      list.push_back(plain(3, kWindowShape.cols + 5, NIB_GRANULARITY_TENSOR, Recipe::kBits));
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(kWindowShape.rows, 1023, NIB_GRANULARITY_COLUMN, Recipe::kBits));
      list.push_back(plain(3, kWindowShape.cols, NIB_GRANULARITY_ROW, Recipe::kBits));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        Case c = plain(shape.rows, shape.cols, shape.weights.granularity, Recipe::kMixed);
        c.as<Desc>().source_type = shape.variant % 3;
        c.as<Desc>().source_stride = shape.stride;
        if (shape.oneGranularity()) list.push_back(c);
      });
  }
}

void verify(const NibFormatInfo* format, std::vector<NamedCase>& list) {
  if (format != nullptr) return;
  for (const uint32_t granularity : kGranularities) {
    for (const uint32_t type : {NIB_TYPE_F32, NIB_TYPE_F16, NIB_TYPE_BF16}) {
      Case c = plain(kVerifiedShape.rows, kVerifiedShape.cols, granularity, Recipe::kMixed);
      c.as<Desc>().source_type = type;
      list.push_back({std::string("minmax ") + granularityName(granularity) + " " + typeName(type), c});
    }
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, BenchSharing sharing, NibType source) {
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_MINMAX);
    d.rows = request.shape.m;
    d.cols = request.shape.k;
    d.source_type = source;
    d.granularity = sharing.granularity;
    rows.add(order, request.shape, c);
  };
  switch (request.part) {
    case BenchPart::kQuick:
      for (const BenchSharing& sharing : {kPerTensor, kPerRow, kPerColumn}) add(kQuickDense, sharing, NIB_TYPE_F32);
      break;
    case BenchPart::kEveryWay:
      for (const NibType type : kBenchTypes) {
        for (const BenchSharing& sharing : {kPerTensor, kPerRow, kPerColumn})
          add(kEveryDense + 1000 * type, sharing, type);
      }
      break;
    case BenchPart::kTails: add(kTailsDense, kPerRow, NIB_TYPE_F32); break;
    case BenchPart::kCalibrate:
      add(1, kPerTensor, NIB_TYPE_F32);
      add(2, kPerColumn, NIB_TYPE_F32);
      break;
    default: break;
  }
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(d.source_type);
  names.granularity = granularityName(d.granularity);
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_MINMAX,
    .list = list,
    .name = nameStatistics<Desc>,
    .kind = [](const Desc& d) { return uint64_t(d.granularity); },
    .fill = fillStatistics<Desc>,
    .lines =
        [](const Desc& d, const NibMemory&, NibRole role, NibPart) {
          if (role == NIB_ROLE_OUTPUT) return Lines{0, 8 * sizeof(NibExtent)};
          return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
        },
    .large = addLarge,
    .verify = verify,
    .bench = {.list = listBench, .names = nameBench, .data = denseInput<Desc>},
};

}  // namespace

NIB_DEFINE_CASES(minmax, NibMinMaxDesc, kCases)

}  // namespace nib::selftest
