#include "simd/twins.h"

namespace nib::simd {

Outcome runTwin([[maybe_unused]] const NibOpDesc* desc, [[maybe_unused]] const NibCpuBinding& binding,
                [[maybe_unused]] const NibRun& run, [[maybe_unused]] const NibParallelFor& parallel) {
#if defined(NIB_HAS_EIGEN)
  if (desc->op == NIB_OP_MATMUL && desc->desc_bytes >= sizeof(NibMatmulDesc)) {
    return runMatmul(*reinterpret_cast<const NibMatmulDesc*>(desc), binding, run, parallel);
  }
  if (desc->op == NIB_OP_HESSIAN && desc->desc_bytes >= sizeof(NibHessianDesc)) {
    return runHessian(*reinterpret_cast<const NibHessianDesc*>(desc), binding, run, parallel);
  }
  if (desc->op == NIB_OP_FACTOR && desc->desc_bytes >= sizeof(NibFactorDesc)) {
    return runFactor(*reinterpret_cast<const NibFactorDesc*>(desc), binding, run, parallel);
  }
#endif
  return Outcome::kNoTwin;
}

}  // namespace nib::simd
