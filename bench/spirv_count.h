// Counts the operations of a compute module, for drivers that report no instructions. The count measures the kernel,
// not a compiler.
#ifndef NIB_BENCH_SPIRV_COUNT_H
#define NIB_BENCH_SPIRV_COUNT_H

#include <cstdint>
#include <optional>
#include <span>

namespace nib::bench {

struct SpirvCount {
  uint64_t operations = 0;  // a loop counts as one iteration
  uint64_t looped = 0;      // those of them in innermost loops that access memory
  uint32_t loops = 0;
};

// Counts one invocation of the module's only entry point, with these values for the specialization constants 0, 1, ...
// Calls are inlined. A branch on constants counts the side taken; any other branch counts both sides.
// It counts arithmetic, comparison, selection and conversion (vectors by component, none on constants alone), branches
// on data, atomics, subgroup operations, and each load or store of a buffer or of shared memory, whatever its width. It
// leaves out operations that compilers remove: moves between variables, extraction from vectors, addresses of
// variables, bit casts.
// Returns nullopt if `words` is not such a module.
std::optional<SpirvCount> countSpirv(std::span<const uint32_t> words, std::span<const uint32_t> spec);

}  // namespace nib::bench
#endif
