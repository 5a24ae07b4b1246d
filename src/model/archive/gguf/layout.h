// Writes the header of a GGUF file, version 3, and says where each tensor goes.
#ifndef NIB_MODEL_ARCHIVE_GGUF_LAYOUT_H
#define NIB_MODEL_ARCHIVE_GGUF_LAYOUT_H

#include "model/archive/gguf/types.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

inline constexpr uint32_t kGgufVersion = 3;
inline constexpr uint64_t kGgufAlignment = 32;
inline constexpr size_t kMaxGgufName = 63;  // of a tensor

// The types of metadata values.
enum class GgufValue : uint32_t {
  kU8 = 0,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kString,
  kArray,
  kU64,
  kI64,
  kF64
};

// Keys and values, in the order in which they are added. Keys must differ.
class GgufMetadata {
 public:
  void add(std::string_view key, uint16_t value);
  void add(std::string_view key, uint32_t value);
  void add(std::string_view key, int32_t value);
  void add(std::string_view key, float value);
  void add(std::string_view key, bool value);
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, const char* value) { add(key, std::string_view(value)); }
  void add(std::string_view key, std::span<const std::string> values);
  void add(std::string_view key, std::span<const float> values);
  void add(std::string_view key, std::span<const int32_t> values);

  uint64_t count() const { return count_; }
  const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, GgufValue type);
  void beginArray(std::string_view key, GgufValue type, uint64_t count);

  std::string bytes_;
  uint64_t count_ = 0;
};

struct GgufTensor {
  std::string name;
  const GgmlType* type = nullptr;
  std::vector<uint64_t> dims;  // the contiguous one first
  uint64_t bytes = 0;
};

struct GgufLayout {
  std::vector<std::byte> head;   // up to the first tensor
  std::vector<uint64_t> offset;  // of each tensor in the file
  uint64_t file_bytes = 0;       // the last tensor is padded too
};

// Throws for names that are too long or occur twice, and for sizes that overflow. `where` begins the message.
GgufLayout layOutGguf(const GgufMetadata& metadata, std::span<const GgufTensor> tensors, const std::string& where);

}  // namespace nib::model
#endif
