// Shared by the fast CPU kernels: the check of a run, addresses of parts, and loops on the caller's threads.
#ifndef NIB_SIMD_RUN_H
#define NIB_SIMD_RUN_H

#include <nibble/nibble.h>

#include <memory>
#include <new>
#include <type_traits>

#include "ops/cpu_run.h"

namespace nib::simd {

template <class T>
std::unique_ptr<T[]> allocate(size_t count) {
  return std::unique_ptr<T[]>(new (std::nothrow) T[count]);
}

// Whether the reference would do the run of an op with `rows` rows. The reference reports what is wrong.
inline bool isValid(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run, uint32_t rows) {
  if (run.first_row > rows || run.n > rows - run.first_row) return false;
  return canCpuRun(desc, binding, run);
}

// The address of a part of an op that has it.
template <class T>
T* partOf(const NibMemory& memory, const NibCpuBinding& binding, const NibRun& run, NibPart part) {
  const NibMemoryPart& p = memory.part[part];
  const uint64_t moved = binding.part_offset_bytes[part];
  const uint64_t offset = (moved != 0 ? moved : p.offset_bytes) + run.offset_bytes[p.role];
  return reinterpret_cast<T*>(static_cast<char*>(binding.range[p.role].data) + offset);
}

// The op's memory with the binding's offsets of parts, and ranges with the run's offsets, as references take them.
inline bool moveOperands(const NibOpDesc* desc, const NibCpuBinding& binding, const NibRun& run, NibMemory* memory,
                         NibCpuBinding* moved) {
  if (nibGetMemory(desc, nullptr, memory) != NIB_SUCCESS) return false;
  *moved = binding;
  for (uint32_t role = 0; role < NIB_ROLE_COUNT; ++role) {
    if (moved->range[role].data != nullptr)
      moved->range[role].data = static_cast<char*>(moved->range[role].data) + run.offset_bytes[role];
  }
  for (uint32_t p = 0; p < NIB_PART_COUNT; ++p) {
    if (binding.part_offset_bytes[p] != 0) memory->part[p].offset_bytes = binding.part_offset_bytes[p];
  }
  return true;
}

// Calls body(i) for i in [0, count) on the caller's threads.
template <class Body>
void forEach(const NibParallelFor& parallel, uint32_t count, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  parallel.run(
      parallel.parallel_user, count, [](void* user, uint32_t i) { (*static_cast<Plain*>(user))(i); }, &body);
}

}  // namespace nib::simd
#endif
