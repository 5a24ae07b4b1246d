#include "simd/fast_kernels.h"

namespace nib::simd {

#define NIB_FAST_KERNEL(NAME) extern const FastKernel kFastKernel_##NAME;
#include "fast_kernels.inc"
#undef NIB_FAST_KERNEL

namespace {

const FastKernel* const kFastKernels[] = {
#define NIB_FAST_KERNEL(NAME) &kFastKernel_##NAME,
#include "fast_kernels.inc"
#undef NIB_FAST_KERNEL
};

}  // namespace

Outcome runFastKernel(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run,
                      const NibParallelFor& parallel) {
  for (const FastKernel* kernel : kFastKernels) {
    if (kernel->op != desc->op) continue;
    return desc->desc_bytes >= kernel->desc_bytes ? kernel->run(desc, binding, run, parallel) : Outcome::kUnsupported;
  }
  return Outcome::kUnsupported;
}

}  // namespace nib::simd
