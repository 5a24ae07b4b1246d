#include "simd/kernels.h"

#include <cstdlib>
#include <cstring>

namespace nib::simd {
namespace {

// From the best to the one that every processor has.
const Kernels* const kAll[] = {
#if defined(NIB_SIMD_X86)
    &kKernels_avx512vnni,
    &kKernels_avx512,
    &kKernels_avx2,
#endif
    &kKernels_base,
};

bool runsHere([[maybe_unused]] const Kernels& kernels) {
#if defined(NIB_SIMD_X86)
  if (&kernels == &kKernels_avx512vnni && !__builtin_cpu_supports("avx512vnni")) return false;
  if (&kernels == &kKernels_avx512 || &kernels == &kKernels_avx512vnni) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
  }
  if (&kernels == &kKernels_avx2) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
  }
#endif
  return true;
}

const Kernels* choose() {
  if (const char* name = std::getenv("NIBBLE_CPU_SIMD")) {
    if (const Kernels* found = findKernels(name)) return found;
  }
  for (const Kernels* kernels : kAll) {
    if (runsHere(*kernels)) return kernels;
  }
  return &kKernels_base;
}

}  // namespace

const Kernels* findKernels(const char* name) {
  for (const Kernels* kernels : kAll) {
    if (std::strcmp(kernels->name, name) == 0 && runsHere(*kernels)) return kernels;
  }
  return nullptr;
}

const Kernels& kernels() {
  static const Kernels* const kChosen = choose();
  return *kChosen;
}

}  // namespace nib::simd
