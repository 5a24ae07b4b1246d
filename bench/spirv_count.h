// How many operations a compute module does, where no driver tells: a measure of the kernel, not of a compiler.
#ifndef NIB_BENCH_SPIRV_COUNT_H
#define NIB_BENCH_SPIRV_COUNT_H

#include <cstdint>
#include <optional>
#include <span>

namespace nib::bench {

struct SpirvCount {
  uint64_t operations = 0;  // a loop's as if it ran once
  uint64_t looped = 0;      // those of them in innermost loops that touch memory
  uint32_t loops = 0;
};

// Of one invocation of the module's only entry point with these values for the specialization constants 0, 1, ...:
// calls inlined, branches on constants taken, both sides of all others counted. Counted are arithmetic, comparison,
// selection and conversion (vectors by component, none of constants alone), branches on data, atomics, subgroup
// operations, and each load or store of a buffer or of shared memory, whatever its width. Not counted is what compilers
// make disappear: moves between variables, taking vectors apart, addresses of variables, bit casts.
// Nothing for what is no such module.
std::optional<SpirvCount> countSpirv(std::span<const uint32_t> words, std::span<const uint32_t> spec);

}  // namespace nib::bench
#endif
