// The element types of safetensors.
#ifndef NIB_MODEL_ARCHIVE_DTYPE_H
#define NIB_MODEL_ARCHIVE_DTYPE_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace nib::model {

// In the order of the reference implementation's enumeration, by which it sorts the tensors of a file.
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
bool isInteger(Dtype dtype);  // of any width and sign; not kBool
// Floats of 4, 6 and 8 bits, and powers of two of 8 bits.
bool isSmallFloat(Dtype dtype);
uint32_t dtypeBits(Dtype dtype);
// Finds a type by its name in safetensors files. Case-sensitive.
std::optional<Dtype> findDtype(std::string_view name);

// Size of a tensor. None if its number of elements or bits overflows 64 bits, or if it does not fill whole bytes.
std::optional<uint64_t> tensorBytes(Dtype dtype, std::span<const uint64_t> shape);

// The value of an element of kF32, kF16, kBF16 or kF8E8M0. bytes: little-endian.
float floatValue(Dtype dtype, const std::byte* bytes);

// Adds to each of the fp32 values.
void addToFloats(std::span<std::byte> values, float addend);

}  // namespace nib::model
#endif
