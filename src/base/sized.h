// Copies structs of nibble.h that begin with their size: callers may be older or newer than the library.
#ifndef NIB_BASE_SIZED_H
#define NIB_BASE_SIZED_H

#include <cstdint>
#include <cstring>

namespace nib {

// Copies the caller's struct of `from_bytes` bytes to the library's. Fields that an older caller lacks become 0.
// Returns false if the caller's is shorter than `least_bytes`, the struct's size when it was first released, or if a
// field that this library does not know is not 0.
inline bool readSized(const void* from, uint32_t from_bytes, uint32_t least_bytes, void* to, uint32_t to_bytes) {
  if (from_bytes < least_bytes) return false;
  const uint8_t* bytes = static_cast<const uint8_t*>(from);
  for (uint32_t i = to_bytes; i < from_bytes; ++i) {
    if (bytes[i] != 0) return false;
  }
  std::memset(to, 0, to_bytes);
  std::memcpy(to, from, from_bytes < to_bytes ? from_bytes : to_bytes);
  return true;
}

template <class T>
bool readSized(const T& from, T* to, uint32_t least_bytes = sizeof(T)) {
  return readSized(&from, from.struct_bytes, least_bytes, to, sizeof(T));
}

// Writes the fields of a result that fit the caller's struct. Returns false if struct_bytes is below `least_bytes`.
template <class T>
bool writeSized(const T& from, T* to, uint32_t least_bytes = sizeof(T)) {
  const uint32_t bytes = to->struct_bytes;
  if (bytes < least_bytes) return false;
  std::memcpy(static_cast<void*>(to), &from, bytes < sizeof(T) ? bytes : sizeof(T));
  to->struct_bytes = bytes;
  return true;
}

}  // namespace nib
#endif
