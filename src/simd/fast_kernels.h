// Fast CPU kernels of some ops, for the kit's CPU device. The kernel of a bounded op keeps the op's bound, and gives
// the same bytes from run to run with any number of threads; the kernel of a bit-exact op gives the reference's bytes.
// Kernels use the library through nibble.h, and shared parts of the op's reference.
#ifndef NIB_SIMD_FAST_KERNELS_H
#define NIB_SIMD_FAST_KERNELS_H

#include <nibble/nibble.h>

namespace nib::simd {

enum class Outcome {
  kUnsupported,  // nothing is written: run nibCpuRun instead
  kDone,         // the run is done
  kNoMemory,     // host memory is lacking; results are undefined
};

// Does the run of nibCpuRun, if there is a fast kernel for it. The run must be valid.
Outcome runFastKernel(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run,
                      const NibParallelFor& parallel);

Outcome runMatmul(const NibMatmulDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel);
Outcome runAttention(const NibAttentionDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                     const NibParallelFor& parallel);
Outcome runHessian(const NibHessianDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                   const NibParallelFor& parallel);
Outcome runFactor(const NibFactorDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel);
Outcome runGptq(const NibGptqDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                const NibParallelFor& parallel);
Outcome runSearch(const NibSearchDesc& desc, const NibCpuBinding& binding, const NibRun& run,
                  const NibParallelFor& parallel);

}  // namespace nib::simd
#endif
