// Reference of NIB_OP_DYNAMIC_GEMM: that of quantizing, into scratch, and that of the product.
#include "cpu/int8_product.h"
#include "cpu/outliers.h"
#include "ops/dynamic_product.h"

namespace nib {

void dynamicGemmCpu(const NibOpDesc* desc, const NibMemory&, const NibCpuBinding& binding, uint32_t n,
                    const NibParallelFor* parallel) {
  DynamicProduct p;
  makeDynamicProduct(*reinterpret_cast<const NibDynamicGemmDesc*>(desc), Log(), &p);
  uint8_t* aux = static_cast<uint8_t*>(binding.range[NIB_ROLE_AUX].data);
  uint8_t* blob = aux + p.blob_offset;
  if (p.threshold != 0) {
    cpu::splitOutliers(p, binding.range[NIB_ROLE_INPUT].data, blob, reinterpret_cast<NibStatus*>(aux), n, parallel);
  } else {
    NibCpuBinding quantize{};
    quantize.range[NIB_ROLE_INPUT] = binding.range[NIB_ROLE_INPUT];
    quantize.range[NIB_ROLE_WEIGHTS] = {blob, p.blob_bytes};
    if (p.own_bytes != 0) quantize.range[NIB_ROLE_AUX] = {aux, p.own_bytes};
    quantizeCpu(reinterpret_cast<const NibOpDesc*>(&p.quantize), p.quantize_memory, quantize, n, parallel);
  }
  cpu::int8Product(p.product, binding.range[NIB_ROLE_WEIGHTS].data, blob, binding.range[NIB_ROLE_OUTPUT].data, n, parallel);
}

}  // namespace nib
