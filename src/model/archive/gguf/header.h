// Reads the header of a GGUF file: metadata, and where each tensor is.
//
// Nothing in the file is believed: every length is compared with what the file still holds, and memory is at most
// twice the size of the header, which has a limit.
#ifndef NIB_MODEL_ARCHIVE_GGUF_HEADER_H
#define NIB_MODEL_ARCHIVE_GGUF_HEADER_H

#include "model/archive/gguf/layout.h"
#include "model/archive/hash.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib::model {

// The header holds a vocabulary, of 20 MB at most today.
inline constexpr uint64_t kMaxGgufHeader = 256'000'000;

class GgufHeader {
 public:
  // Reads out.size() bytes of the file from `offset`, which are within it. Throws.
  using Read = std::function<void(uint64_t offset, std::span<std::byte> out)>;
  // Throws if a rule of the format is violated. `where` begins every message.
  GgufHeader(const Read& read, uint64_t file_bytes, std::string where);

  struct Tensor {
    std::string name;
    const GgmlType* type = nullptr;
    std::vector<uint64_t> dims;  // the contiguous one first
    uint64_t offset = 0;         // in the file
    uint64_t bytes = 0;
  };
  const std::vector<Tensor>& tensors() const { return tensors_; }
  uint64_t dataAt() const { return data_at_; }

  // Values by key; none if the key is absent. They throw if its value is of another type.
  std::optional<std::string_view> text(std::string_view key) const;
  std::optional<uint64_t> whole(std::string_view key) const;  // an integer of any type, not negative
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // Elements of arrays; none if the key is absent.
  std::optional<std::vector<std::string_view>> texts(std::string_view key) const;
  std::optional<std::vector<double>> numbers(std::string_view key) const;

  // All keys in the order of the file, with short texts of their values.
  std::vector<std::pair<std::string, std::string>> shown() const;
  Hash128 hash() const;  // of the header's bytes

  [[noreturn]] void fail(const std::string& problem) const;

 private:
  struct Value {
    std::string_view key;
    GgufValue type = GgufValue::kU8;
    GgufValue element = GgufValue::kU8;  // kArray
    uint64_t count = 0;                  // kArray
    size_t at = 0;                       // of the first byte in bytes_
    size_t end = 0;
  };

  void need(uint64_t count);
  template <class T>
  T take();
  std::string_view takeText(const char* what, uint64_t most);
  void skipValue(Value& value, const std::string& name);
  void readValues(uint64_t count);
  void readTensors(uint64_t count);
  uint64_t alignment() const;
  const Value* find(std::string_view key) const;
  const Value& want(const Value* value, bool holds, const char* what) const;
  double numberAt(GgufValue type, size_t at) const;
  std::string valueText(const Value& value) const;
  std::string quoted(const Value& value) const;

  const Read* read_;
  uint64_t file_bytes_;
  std::string where_;
  std::string bytes_;  // the header, as far as it was needed
  size_t at_ = 0;
  std::vector<Value> values_;    // sorted by key
  std::vector<size_t> in_file_;  // indices of values_ in the order of the file
  std::vector<Tensor> tensors_;
  uint64_t data_at_ = 0;
};

}  // namespace nib::model
#endif
