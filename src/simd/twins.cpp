#include "simd/twins.h"

namespace nib::simd {

Outcome runTwin([[maybe_unused]] const NibOpDesc* desc, [[maybe_unused]] const NibCpuBinding& binding,
                [[maybe_unused]] const NibRun& run, [[maybe_unused]] const NibParallelFor& parallel) {
#if defined(NIB_HAS_EIGEN)
  if (desc->op == NIB_OP_MATMUL && desc->desc_bytes >= sizeof(NibMatmulDesc)) {
    return runMatmul(*reinterpret_cast<const NibMatmulDesc*>(desc), binding, run, parallel);
  }
#endif
  return Outcome::kNoTwin;
}

}  // namespace nib::simd
