// Reference of NIB_OP_DYNAMIC_GEMM: that of quantizing, into scratch, and that of the product.
#include "reference/outliers.h"

namespace nib {

void dynamicGemmReference(const DynamicProduct& p, const HostRun& run) {
  const NibCpuBinding& binding = run.binding;
  uint8_t* aux = static_cast<uint8_t*>(binding.range[NIB_ROLE_AUX].data);
  uint8_t* blob = aux + p.blob_offset;
  if (p.threshold != 0) {
    reference::splitOutliers(p, binding.range[NIB_ROLE_INPUT].data, blob, reinterpret_cast<NibStatus*>(aux), run.n, run.parallel);
  } else {
    NibCpuBinding quantize{};
    quantize.range[NIB_ROLE_INPUT] = binding.range[NIB_ROLE_INPUT];
    quantize.range[NIB_ROLE_WEIGHTS] = {blob, p.blob_bytes};
    if (p.own_bytes != 0) quantize.range[NIB_ROLE_AUX] = {aux, p.own_bytes};
    quantizeReference(p.quantize, {p.quantize_memory, quantize, run.n, run.parallel});
  }
  reference::int8Product(p.product, binding.range[NIB_ROLE_WEIGHTS].data, blob, binding.range[NIB_ROLE_OUTPUT].data, run.n,
                         run.parallel);
}

}  // namespace nib
