// Reads and writes the header of a safetensors file.
//
// A file is a little-endian u64 N, N bytes of JSON, and the data. The reader checks all rules of the format and is
// stricter where the format is vague: it refuses unknown keys in a tensor's entry (the reference ignores them, but no
// known program writes any, and one could change the meaning of the bytes), U+0000 in a name, and more than kMaxRank
// dimensions.
#ifndef NIB_MODEL_ARCHIVE_SAFETENSORS_HEADER_H
#define NIB_MODEL_ARCHIVE_SAFETENSORS_HEADER_H

#include "model/archive/dtype.h"
#include "model/archive/model_writer.h"
#include "model/archive/tensor_source.h"

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

// The limit of the format for N.
inline constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// The limit of NumPy; the tensors of models have up to 5 dimensions.
inline constexpr uint32_t kMaxRank = 64;
inline constexpr uint32_t kMaxMetadata = 100'000;

class SafetensorsHeader {
 public:
  // Returns N. start: the first 8 bytes of the file, or all of a shorter file. `where` begins every message. Throws.
  static uint64_t jsonBytes(std::span<const std::byte> start, uint64_t file_bytes, const std::string& where);

  // Parses the header of a file that is in memory. Throws Error.
  static SafetensorsHeader parse(std::span<const std::byte> file, const std::string& where);

  // json: the N bytes. data_bytes: the size of the data after them. Throws Error if a rule of the format is violated.
  // Uses less memory than the size of `json` in addition to it, for any input: names and shapes stay in the text.
  SafetensorsHeader(std::vector<char> json, uint64_t data_bytes, const std::string& where);

  // Tensors are in the order of their data. Views are valid as long as the header, also after a move.
  size_t size() const { return entries_.size(); }
  std::string_view name(size_t i) const { return view(entries_[i].name_at, entries_[i].name_size); }
  Dtype dtype(size_t i) const { return entries_[i].dtype; }
  std::vector<uint64_t> shape(size_t i) const;
  // Offset within the data.
  uint64_t begin(size_t i) const { return entries_[i].begin; }
  uint64_t bytes(size_t i) const { return entries_[i].end - entries_[i].begin; }
  std::optional<size_t> find(std::string_view name) const;
  // The entries of __metadata__, in the order of the file.
  Metadata metadata() const;

 private:
  struct Entry {
    uint64_t begin = 0;
    uint64_t end = 0;
    uint32_t name_at = 0;
    uint32_t name_size = 0;
    uint32_t shape_at = 0;  // position after the '[' of the shape
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

struct SafetensorsLayout {
  std::vector<std::byte> head;   // N and the JSON, padded with spaces to a multiple of 8
  std::vector<uint64_t> offset;  // offset of each tensor in the file, in the caller's order
  std::vector<uint64_t> bytes;
  uint64_t file_bytes = 0;
};

// Lays out a file of these tensors in the order of the reference implementation: by dtype descending, then by name.
// Throws if the reader would refuse the file.
SafetensorsLayout layOutSafetensors(std::span<const TensorSpec> tensors, const Metadata& metadata,
                                    const std::string& where);

}  // namespace nib::model
#endif
