// The element types of safetensors.
#ifndef NIB_MODEL_ARCHIVE_DTYPE_H
#define NIB_MODEL_ARCHIVE_DTYPE_H

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace nib::model {

// In the order of the reference's enumeration, which decides the order of tensors in a file that it writes.
enum class Dtype : uint8_t {
  kBool,
  kF4,  // two elements a byte
  kF6E2M3,
  kF6E3M2,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,  // E4M3FN
  kF8E8M0,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kC64,
  kF64,
  kI64,
  kU64
};
inline constexpr uint32_t kDtypeCount = 22;

std::string_view dtypeName(Dtype dtype);
uint32_t dtypeBits(Dtype dtype);
// Of the names as files spell them, capitals included.
std::optional<Dtype> findDtype(std::string_view name);

// Bytes of a tensor. None if its elements or bits are more than 64 bits can count, or do not fill whole bytes.
std::optional<uint64_t> tensorBytes(Dtype dtype, std::span<const uint64_t> shape);

}  // namespace nib::model
#endif
