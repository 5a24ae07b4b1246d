// Reference of NIB_OP_INT8_GEMM.
#include "cpu/int8_product.h"

namespace nib {

void int8GemmCpu(const NibOpDesc* desc, const NibMemory&, const NibCpuBinding& binding, uint32_t n,
                 const NibParallelFor* parallel) {
  Int8Product product;
  makeInt8Product("int8_gemm", *reinterpret_cast<const NibInt8GemmDesc*>(desc), false, Log(), &product);
  cpu::int8Product(product, binding.range[NIB_ROLE_WEIGHTS].data, binding.range[NIB_ROLE_INPUT].data,
                   binding.range[NIB_ROLE_OUTPUT].data, n, parallel);
}

}  // namespace nib
