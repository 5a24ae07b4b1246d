// FNV-1a with 64 bits, for keys of kernels and verdicts. Meant for a few kilobytes; not collision-resistant.
#ifndef NIB_BASE_HASH_H
#define NIB_BASE_HASH_H

#include <cstddef>
#include <cstdint>

namespace nib {

inline constexpr uint64_t kFnv1aStart = 0xcbf29ce484222325ull;

// To hash several ranges as one, pass the result for one as `start` of the next.
inline uint64_t fnv1a64(const void* data, size_t size_bytes, uint64_t start = kFnv1aStart) {
  const unsigned char* bytes = static_cast<const unsigned char*>(data);
  uint64_t hash = start;
  for (size_t i = 0; i < size_bytes; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3ull;
  return hash;
}

}  // namespace nib
#endif
