#include "simd/fast_kernels.h"

namespace nib::simd {

Outcome runFastKernel(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run,
                      const NibParallelFor& parallel) {
#if defined(NIB_HAS_EIGEN)
  if (desc->op == NIB_OP_MATMUL && desc->desc_bytes >= sizeof(NibMatmulDesc)) {
    return runMatmul(*reinterpret_cast<const NibMatmulDesc*>(desc), binding, run, parallel);
  }
  if (desc->op == NIB_OP_ATTENTION && desc->desc_bytes >= sizeof(NibAttentionDesc)) {
    return runAttention(*reinterpret_cast<const NibAttentionDesc*>(desc), binding, run, parallel);
  }
  if (desc->op == NIB_OP_HESSIAN && desc->desc_bytes >= sizeof(NibHessianDesc)) {
    return runHessian(*reinterpret_cast<const NibHessianDesc*>(desc), binding, run, parallel);
  }
  if (desc->op == NIB_OP_FACTOR && desc->desc_bytes >= sizeof(NibFactorDesc)) {
    return runFactor(*reinterpret_cast<const NibFactorDesc*>(desc), binding, run, parallel);
  }
#endif
  if (desc->op == NIB_OP_GPTQ && desc->desc_bytes >= sizeof(NibGptqDesc)) {
    return runGptq(*reinterpret_cast<const NibGptqDesc*>(desc), binding, run, parallel);
  }
  if (desc->op == NIB_OP_SEARCH && desc->desc_bytes >= sizeof(NibSearchDesc)) {
    return runSearch(*reinterpret_cast<const NibSearchDesc*>(desc), binding, run, parallel);
  }
  return Outcome::kUnsupported;
}

}  // namespace nib::simd
