// NIB_OP_MINMAX: validation, memory, kernels.
#include "ops/op.h"

#include "cpu/cpu.h"
#include "ops/geometry.h"
#include "ops/source_desc.h"
#include "ops/statistics.h"

#if !defined(NIB_NO_VULKAN)
#include "core/plan.h"
#endif

namespace nib {
namespace {

const NibMinMaxDesc& cast(const NibOpDesc* desc) { return *reinterpret_cast<const NibMinMaxDesc*>(desc); }

NibResult getMemory(const NibOpDesc* any, const Log& log, NibMemory* memory) {
  const NibMinMaxDesc& d = cast(any);
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
      return log.fail(NIB_ERROR_INVALID_ARGUMENT, "minmax: granularity %u must be TENSOR, ROW or COLUMN", d.granularity);
  }
  setRange(memory, NIB_ROLE_INPUT, denseBytes(d.rows, d.cols, d.source_type, stride));
  setRange(memory, NIB_ROLE_OUTPUT, count * sizeof(NibExtent));
  const uint64_t scratch = statisticsPartials(d.granularity, d.rows, d.cols, stride) * 16u;
  setRange(memory, NIB_ROLE_AUX, scratch);
  setPart(memory, NIB_PART_SCRATCH, 0, scratch);
  return NIB_SUCCESS;
}

#if !defined(NIB_NO_VULKAN)
NibResult build(const NibOpDesc* any, const NibMemory&, PlanBuilder& builder) {
  const NibMinMaxDesc& d = cast(any);
  const uint32_t stride = d.source_stride != 0 ? d.source_stride : d.cols;
  const Statistics statistics{ExtentOf::kFinite, d.granularity, d.rows,          d.cols, stride, d.source_type,
                              false,             0,             NIB_ROLE_OUTPUT, 0};
  return addStatistics(statistics, builder);
}
#endif

}  // namespace

extern const OpRow kOp_minmax;
const OpRow kOp_minmax = {NIB_OP_MINMAX,
                          "minmax",
                          sizeof(NibMinMaxDesc),
                          getMemory,
                          sourceMaxRows<NibMinMaxDesc>,
                          minmaxCpu,
#if !defined(NIB_NO_VULKAN)
                          build,
#endif
                          sourceSides<NibMinMaxDesc>,
                          resizeSource<NibMinMaxDesc>,
                          fillSourceProbe<NibMinMaxDesc>,
                          NIB_ROLE_OUTPUT};

}  // namespace nib
