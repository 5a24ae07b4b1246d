// Parts of a role's range that follow each other.
#ifndef NIB_OPS_PARTS_H
#define NIB_OPS_PARTS_H

#include "formats/geometry.h"

namespace nib {

// Appends a part of size_bytes at or after `from`, and returns where the next one may begin. size_bytes 0 = no part.
inline uint64_t addPart(NibMemory* memory, NibRole role, NibPart part, uint64_t from, uint64_t size_bytes) {
  if (size_bytes == 0) return from;
  const uint64_t at = alignUp(from, kPartAlignmentBytes);
  setPart(memory, role, part, at, size_bytes);
  return at + size_bytes;
}

}  // namespace nib
#endif
