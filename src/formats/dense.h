// Operands in host memory: elements of dense matrices, parts of a role's range, and a run's arguments.
#ifndef NIB_FORMATS_DENSE_H
#define NIB_FORMATS_DENSE_H

#include <nibble/nibble.h>

#include "numerics/exact.h"

namespace nib {

// Element `index` of a matrix of NibType `type`, as fp32 bits.
inline uint32_t loadDense(const void* data, uint32_t type, uint64_t index) {
  if (type == NIB_TYPE_F32) return static_cast<const uint32_t*>(data)[index];
  const uint32_t half_word = static_cast<const uint16_t*>(data)[index];
  return type == NIB_TYPE_F16 ? exact::nibHalfToF32Bits(half_word) : half_word << 16;
}

// Rounds fp32 bits half-even to NibType `type` and stores them.
inline void storeDense(void* data, uint32_t type, uint64_t index, uint32_t bits) {
  if (type == NIB_TYPE_F32) {
    static_cast<uint32_t*>(data)[index] = bits;
  } else {
    static_cast<uint16_t*>(data)[index] =
        uint16_t(type == NIB_TYPE_F16 ? exact::nibF32ToHalfBits(bits) : exact::nibF32ToBf16Bits(bits));
  }
}

// Arguments that the reference of an op takes with the description. They are validated.
struct HostRun {
  const NibMemory& memory;  // with the part offsets of the binding
  const NibCpuBinding& binding;
  uint32_t n;
  uint32_t first_row;  // of the run in the output, and in a blob that is read row by row
  const NibParallelFor* parallel;
};

// Address of a part; NULL if the op does not have it.
template <class T>
T* partOf(const NibMemory& memory, const NibCpuBinding& binding, NibRole role, NibPart part) {
  if (memory.part[part].size_bytes == 0) return nullptr;
  return reinterpret_cast<T*>(static_cast<uint8_t*>(binding.range[role].data) + memory.part[part].offset_bytes);
}

}  // namespace nib
#endif
