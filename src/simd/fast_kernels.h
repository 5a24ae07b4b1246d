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

// One for each op that shaders/kernels.list calls fast.
struct FastKernel {
  NibOp op;
  size_t desc_bytes;  // the least: shorter descriptions, of older callers, run on the reference
  Outcome (*run)(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run,
                 const NibParallelFor& parallel);
};

// Defines kFastKernel_NAME in namespace nib::simd. FUNCTION takes the op's own description.
#define NIB_DEFINE_FAST_KERNEL(NAME, OP, DESC, FUNCTION)                                                           \
  extern const FastKernel kFastKernel_##NAME;                                                                      \
  constinit const FastKernel kFastKernel_##NAME = {                                                                \
      OP, sizeof(DESC),                                                                                            \
      [](const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run, const NibParallelFor& parallel) { \
        return FUNCTION(*reinterpret_cast<const DESC*>(desc), binding, run, parallel);                             \
      }};

}  // namespace nib::simd
#endif
