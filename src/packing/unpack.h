// SPIR-V modules as programs hold them: each packed alone, or after one or two others that it resembles.
#ifndef NIB_PACKING_UNPACK_H
#define NIB_PACKING_UNPACK_H

#include <cstdint>

#include "base/memory.h"

namespace nib::packing {

struct PackedModule {
  const uint32_t* bytes;     // in little-endian words
  const PackedModule* base;  // is unpacked first; NULL = none. There are at most two, the base and its base
  uint32_t byte_count;
  uint32_t words;  // of the module
  uint32_t bound;  // words 3 and 1 of the module
  uint32_t version;
  uint64_t hash;  // fnv1a64 of the module
};

enum class Unpacked { kYes, kDamaged, kOutOfMemory };

// Writes the module to `out`. Two allocations, both released before it returns. Thread-safe.
Unpacked unpack(const PackedModule& module, const HostMemory& memory, Array<uint32_t>* out);

}  // namespace nib::packing
#endif
