// NIB_OP_MINMAX: validation, memory, kernels.
#include "plan/op.h"

#include "formats/geometry.h"
#include "ops/source_desc.h"
#include "ops/statistics.h"
#include "reference/reference.h"

#if !defined(NIB_NO_VULKAN)
#include "plan/plan.h"
#endif

namespace nib {
namespace {

NibResult getMemory(const NibMinMaxDesc& d, const Log& log, NibMemory* memory) {
  uint32_t stride = d.source_stride;
  const NibResult result = checkDense("minmax", "source", d.rows, d.cols, d.source_type, false, log, &stride);
  if (result != NIB_SUCCESS) return result;
  if (d.flags != 0) return log.fail(NIB_ERROR_INVALID_ARGUMENT, "minmax: flags 0x%x has unknown bits", d.flags);
  uint64_t count = 1;
  switch (d.granularity) {
    case NIB_GRANULARITY_TENSOR: break;
    case NIB_GRANULARITY_ROW: count = d.rows; break;
    case NIB_GRANULARITY_COLUMN: count = d.cols; break;
    default:
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "minmax: granularity %u must be TENSOR, ROW or COLUMN",
                      d.granularity);
  }
  setRange(memory, NIB_ROLE_INPUT, denseBytes(d.rows, d.cols, d.source_type, stride));
  setRange(memory, NIB_ROLE_OUTPUT, count * sizeof(NibExtent));
  const uint64_t scratch = statisticsPartials(d.granularity, d.rows, d.cols, stride) * 16u;
  setRange(memory, NIB_ROLE_AUX, scratch);
  setPart(memory, NIB_PART_SCRATCH, 0, scratch);
  return NIB_SUCCESS;
}

#if !defined(NIB_NO_VULKAN)
NibResult build(const NibMinMaxDesc& d, const NibMemory&, PlanBuilder& builder) {
  const uint32_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const Statistics statistics{ExtentOf::kFinite, d.granularity, d.rows, d.cols,          stride,
                              d.source_type,     false,         0,      NIB_ROLE_OUTPUT, 0};
  return addStatistics(statistics, builder);
}
#endif

constexpr Op<NibMinMaxDesc> kMinmax = {
    .op = NIB_OP_MINMAX,
    .name = "minmax",
    .getMemory = getMemory,
    .runRows =
        [](const NibMinMaxDesc& d) {
          return RunRows{d.rows, false, d.granularity == NIB_GRANULARITY_ROW ? d.rows : 0};
        },
    .runReference = minmaxReference,
    NIB_VULKAN_MEMBER(.build = build, ).dims = sourceDims<NibMinMaxDesc>,
    .resized = resizedSource<NibMinMaxDesc>,
    .smallDims =
        [](const NibMinMaxDesc& d, SmallDims* list) {
          const uint32_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
          statisticsSmallDims(d.granularity, d.rows, d.cols, stride, list);
        },
    .fillProbe = fillSourceProbe<NibMinMaxDesc>,
};

}  // namespace

NIB_DEFINE_OP(minmax, NibMinMaxDesc, kMinmax)

}  // namespace nib
