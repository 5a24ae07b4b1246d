// Fast twins of references, for the CPU device. A twin of a bounded op keeps the op's bound, and gives the same bytes
// from run to run with any number of threads; that of a bit-exact op gives the reference's bytes. It uses the library
// through nibble.h, and what is left of the work through the op's own reference.
#ifndef NIB_SIMD_TWINS_H
#define NIB_SIMD_TWINS_H

#include <nibble/nibble.h>

namespace nib::simd {

enum class Outcome {
  kNoTwin,    // nothing is written: nibCpuRun is to do the run
  kDone,      // the run is done
  kNoMemory,  // host memory is lacking; results are undefined
};

// Runs what nibCpuRun would, if there is a twin for it. The run must be valid.
Outcome runTwin(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run, const NibParallelFor& parallel);

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
