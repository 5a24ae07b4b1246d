// Reference of NIB_OP_MINMAX.
#include <cstring>

#include "cpu/cpu.h"

namespace nib {
namespace {

NibExtent toResult(const cpu::Extent& extent) {
  NibExtent result;
  const uint32_t bits[4] = {extent.minBits(), extent.maxBits(), extent.absmaxBits(), extent.nonfinite};
  static_assert(sizeof result == sizeof bits);
  std::memcpy(&result, bits, sizeof result);
  return result;
}

}  // namespace

void minmaxCpu(const NibOpDesc* any, const NibMemory&, const NibCpuBinding& binding, uint32_t n,
               const NibParallelFor* parallel) {
  NibMinMaxDesc desc;
  std::memcpy(&desc, any, sizeof desc);
  const void* source = binding.range[NIB_ROLE_INPUT].data;
  NibExtent* out = static_cast<NibExtent*>(binding.range[NIB_ROLE_OUTPUT].data);
  const uint64_t stride = desc.source_stride != 0 ? desc.source_stride : desc.cols;

  if (desc.granularity == NIB_GRANULARITY_TENSOR) {
    cpu::Extent extent;
    for (uint32_t row = 0; row < n; ++row) {
      for (uint32_t col = 0; col < desc.cols; ++col) extent.meet(cpu::loadDense(source, desc.source_type, row * stride + col));
    }
    out[0] = toResult(extent);
    return;
  }
  const bool by_row = desc.granularity == NIB_GRANULARITY_ROW;
  auto body = [&](uint32_t index) {
    cpu::Extent extent;
    for (uint32_t i = 0; i < (by_row ? desc.cols : n); ++i) {
      const uint64_t element = by_row ? index * stride + i : i * stride + index;
      extent.meet(cpu::loadDense(source, desc.source_type, element));
    }
    out[index] = toResult(extent);
  };
  cpu::forEach(parallel, by_row ? n : desc.cols, body);
}

}  // namespace nib
