// Reference of NIB_OP_MINMAX.
#include <cstring>

#include "reference/reference.h"

namespace nib {
namespace {

NibExtent toResult(const reference::Extent& extent) {
  NibExtent result;
  const uint32_t bits[4] = {extent.minBits(), extent.maxBits(), extent.absmaxBits(), extent.nonfinite};
  static_assert(sizeof result == sizeof bits);
  std::memcpy(&result, bits, sizeof result);
  return result;
}

}  // namespace

void minmaxReference(const NibMinMaxDesc& desc, const HostRun& run) {
  const void* source = run.binding.range[NIB_ROLE_INPUT].data;
  NibExtent* out = static_cast<NibExtent*>(run.binding.range[NIB_ROLE_OUTPUT].data);
  const uint64_t stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;

  if (desc.granularity == NIB_GRANULARITY_TENSOR) {
    reference::Extent extent;
    for (uint32_t row = 0; row < run.n; ++row) {
      for (uint32_t col = 0; col < desc.cols; ++col) {
        extent.add(loadDense(source, desc.source_type, row * stride + col));
      }
    }
    out[0] = toResult(extent);
    return;
  }
  const bool by_row = desc.granularity == NIB_GRANULARITY_ROW;
  auto body = [&](uint32_t index) {
    reference::Extent extent;
    for (uint32_t i = 0; i < (by_row ? desc.cols : run.n); ++i) {
      const uint64_t element = by_row ? index * stride + i : i * stride + index;
      extent.add(loadDense(source, desc.source_type, element));
    }
    out[(by_row ? run.first_row : 0) + index] = toResult(extent);
  };
  reference::forEach(run.parallel, by_row ? run.n : desc.cols, body);
}

}  // namespace nib
