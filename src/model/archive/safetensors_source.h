// A model of safetensors files: shards and their index, or one file.
#ifndef NIB_MODEL_ARCHIVE_SAFETENSORS_SOURCE_H
#define NIB_MODEL_ARCHIVE_SAFETENSORS_SOURCE_H

#include "model/archive/posix_file.h"
#include "model/archive/safetensors_header.h"
#include "model/archive/tensor_source.h"

namespace nib::model {

class SafetensorsSource : public TensorSource {
 public:
  // Throws.
  explicit SafetensorsSource(const std::filesystem::path& path);

  size_t size() const override { return kept_.empty() ? first_.back() : kept_.size(); }
  std::string_view name(size_t i) const override;
  TensorInfo info(size_t i) const override;
  void read(size_t i, uint64_t offset, std::span<std::byte> out) const override;
  std::vector<std::filesystem::path> files() const override;
  Metadata metadata(uint32_t file) const override { return shards_[file].header.metadata(); }
  void fingerprint(Hasher& hasher) const override;

 private:
  struct Shard {
    File file;
    SafetensorsHeader header;
    uint64_t data_at = 0;
    uint64_t file_bytes = 0;
    Hash128 json_hash;
  };

  static Shard openShard(const std::filesystem::path& path);
  void openIndex(const std::filesystem::path& path);
  void openStale(const std::filesystem::path& index, const std::string& absent);
  void dropUnnamed(const std::string& where, const std::vector<std::vector<bool>>& named);
  void openFolder(const std::filesystem::path& folder);
  void finishOpening();
  std::pair<uint32_t, size_t> locate(size_t i) const;

  std::vector<Shard> shards_;
  std::vector<size_t> first_;   // number of each shard's first tensor, then the total count
  std::vector<uint32_t> kept_;  // the numbers of the tensors; empty = all are
};

}  // namespace nib::model
#endif
