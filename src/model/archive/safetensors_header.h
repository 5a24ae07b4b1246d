// The header of a safetensors file, read and written.
//
// A file is: u64 little endian N, N bytes of JSON, the data. Everything the format asks is checked, and where it leaves
// room the stricter reading is taken: an unknown key in a tensor's entry is refused (the reference ignores it; nothing
// writes one, and what it would mean for the bytes is unknown), so are U+0000 in a name and more than kMaxRank
// dimensions.
#ifndef NIB_MODEL_ARCHIVE_SAFETENSORS_HEADER_H
#define NIB_MODEL_ARCHIVE_SAFETENSORS_HEADER_H

#include "model/archive/dtype.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::model {

class JsonScanner;

// The format's bound on N.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// What NumPy can hold; a tensor of a model has at most 5.
inline constexpr uint32_t kMaxRank = 64;
inline constexpr uint32_t kMaxMetadata = 100'000;

using Metadata = std::vector<std::pair<std::string, std::string>>;

class SafetensorsHeader {
 public:
  // N, from the first 8 bytes of a file of `file_bytes`, or fewer if it has no more. `where` begins every message.
  // Throws.
  static uint64_t jsonBytes(std::span<const std::byte> start, uint64_t file_bytes, const std::string& where);

  // Of a whole file in memory. Throws Error.
  static SafetensorsHeader parse(std::span<const std::byte> file, const std::string& where);

  // json: the N bytes; data_bytes: how much follows them in the file. Throws Error for what the format forbids. Beside
  // `json` it takes less memory than its size, whatever is in it: names and shapes stay where they are in the text.
  SafetensorsHeader(std::vector<char> json, uint64_t data_bytes, const std::string& where);

  // Tensors in the order of their data. Views live as long as the header, also after a move.
  size_t size() const { return entries_.size(); }
  std::string_view name(size_t i) const { return view(entries_[i].name_at, entries_[i].name_size); }
  Dtype dtype(size_t i) const { return entries_[i].dtype; }
  std::vector<uint64_t> shape(size_t i) const;
  // Within the data.
  uint64_t begin(size_t i) const { return entries_[i].begin; }
  uint64_t bytes(size_t i) const { return entries_[i].end - entries_[i].begin; }
  std::optional<size_t> find(std::string_view name) const;
  // Of __metadata__, in the file's order.
  Metadata metadata() const;

 private:
  struct Entry {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint32_t name_at = 0;
    uint32_t name_size = 0;
    uint32_t shape_at = 0;  // of the text behind '['
    uint8_t rank = 0;
    Dtype dtype = Dtype::kBool;
  };
  struct MetadataEntry {
    uint32_t key_at, key_size, value_at, value_size;
  };

  std::string_view view(uint32_t at, uint32_t size) const { return {json_.data() + at, size}; }
  uint32_t offsetOf(std::string_view text) const { return static_cast<uint32_t>(text.data() - json_.data()); }
  void readEntry(JsonScanner& scanner, Entry& entry);
  void readMetadata(JsonScanner& scanner);
  void indexNames(const std::string& where);
  void checkData(uint64_t data_bytes, const std::string& where);

  std::vector<char> json_;
  std::vector<Entry> entries_;
  std::vector<MetadataEntry> metadata_;
  std::vector<uint32_t> by_name_;
};

// A tensor to be written.
struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape;
};

struct SafetensorsLayout {
  std::vector<std::byte> head;   // N and the JSON, padded with spaces to a multiple of 8
  std::vector<uint64_t> offset;  // of each tensor in the file, in the caller's order
  std::vector<uint64_t> bytes;
  uint64_t file_bytes = 0;
};

// The head of a file of these tensors and where each goes: dtype descending, then name, as the reference writes. Throws
// for what could not be read back.
SafetensorsLayout layOutSafetensors(std::span<const TensorSpec> tensors, const Metadata& metadata,
                                    const std::string& where);

}  // namespace nib::model
#endif
