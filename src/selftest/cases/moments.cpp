// Cases of moments: every granularity, shape and type.
#include "selftest/statistics.h"

namespace nib::selftest {
namespace {

using Desc = NibMomentsDesc;

constexpr uint32_t kGranularities[] = {NIB_GRANULARITY_TENSOR, NIB_GRANULARITY_COLUMN};

void list(const NibFormatInfo*, Extent extent, std::vector<Case>& list) {
  listStatistics<Desc>(NIB_OP_MOMENTS, kGranularities, 3, extent, list);
}

Case plain(uint32_t rows, uint32_t cols, uint32_t granularity, Recipe recipe) {
  return plainStatistics<Desc>(NIB_OP_MOMENTS, 500, rows, cols, granularity, recipe);
}

void addLarge(Large purpose, const NibFormatInfo* format, const LargeOptions& options, std::vector<Case>& list) {
  if (format != nullptr) return;
  switch (purpose) {
    case Large::kTails:
    case Large::kSlices: addStatistics(purpose, kGranularities, plain, list); break;
    case Large::kWindows:
      if (options.extent == Extent::kQuick) break;
      list.push_back(plain(3, kWindowShape.cols + 5, NIB_GRANULARITY_TENSOR, Recipe::kNonFinite));
      list.push_back(plain(kWindowShape.rows, 1023, NIB_GRANULARITY_COLUMN, Recipe::kNonFinite));
      break;
    case Large::kNarrowWindows: break;
    case Large::kPlans:
      forEachPlan(0, [&](const PlanShape& shape) {
        Case c = plain(shape.rows, shape.cols, shape.weights.granularity, Recipe::kMixed);
        c.as<Desc>().source_type = shape.variant % 3;
        c.as<Desc>().source_stride = shape.stride;
        list.push_back(c);
      });
  }
}

void listBench(const BenchRequest& request, BenchList& rows) {
  const auto add = [&](uint32_t order, BenchSharing sharing) {
    Case c;
    Desc& d = c.describe<Desc>(NIB_OP_MOMENTS);
    d.rows = request.shape.m;
    d.cols = request.shape.k;
    d.source_type = NIB_TYPE_F32;
    d.granularity = sharing.granularity;
    rows.add(order, request.shape, c);
  };
  if (request.part == BenchPart::kQuick) add(kQuickDense, kPerTensor);
  if (request.part == BenchPart::kCalibrateTails) add(0, kPerTensor);
  if (request.part != BenchPart::kCalibrate) return;
  add(1, kPerTensor);
  add(2, kPerColumn);
}

void nameBench(const Case&, const Desc& d, RowNames& names) {
  names.type = names.source = typeName(d.source_type);
  names.granularity = granularityName(d.granularity);
  names.m = d.rows;
  names.k = d.cols;
}

constexpr OpCases<Desc> kCases = {
    .op = NIB_OP_MOMENTS,
    .list = list,
    .name = nameStatistics<Desc>,
    .kind = [](const Desc& d) { return uint64_t(d.granularity); },
    .fill = fillStatistics<Desc>,
    .lines =
        [](const Desc& d, const NibMemory&, NibRole role, NibPart) {
          if (role == NIB_ROLE_OUTPUT) return Lines{0, 8 * sizeof(NibMomentTile)};
          return linesOfDense(d.source_type, d.source_stride != 0 ? d.source_stride : d.cols);
        },
    .large = addLarge,
    .bench = {.list = listBench, .names = nameBench, .data = denseInput<Desc>},
};

}  // namespace

NIB_DEFINE_CASES(moments, NibMomentsDesc, kCases)

}  // namespace nib::selftest
