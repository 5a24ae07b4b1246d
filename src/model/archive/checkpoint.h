// A model to read: a folder in the layout of Hugging Face, or one .safetensors file.
//
// In a folder: model.safetensors, else the shards of model.safetensors.index.json, else the only *.safetensors file.
// Files may be symbolic links, as in a cache of that hub. Whatever else lies in their place (folders, FIFOs, devices)
// is refused, and so is pickle (pytorch_model.bin, *.pt, *.pth), for loading it can run code.
#ifndef NIB_MODEL_ARCHIVE_CHECKPOINT_H
#define NIB_MODEL_ARCHIVE_CHECKPOINT_H

#include "model/archive/hash.h"
#include "model/archive/posix_file.h"
#include "model/archive/safetensors_header.h"

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::model {

struct TensorInfo {
  std::string_view name;  // lives as long as the checkpoint
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  uint32_t file = 0;    // of files()
  uint64_t offset = 0;  // in that file
};

// All functions may be called from any thread at once. Move only.
class Checkpoint {
 public:
  // Reads and checks every header, no data. Throws.
  explicit Checkpoint(const std::filesystem::path& path);

  // Tensors by file, within a file in the order of their data: reading them in turn reads the disk in turn.
  size_t size() const { return first_.back(); }
  TensorInfo info(size_t i) const;
  std::optional<size_t> find(std::string_view name) const;
  // Bytes offset... of tensor i. Throws, also if the tensor has not that many.
  void read(size_t i, uint64_t offset, std::span<std::byte> out) const;

  // The files of tensors, sorted by name. Each path is as it was given, links not resolved.
  std::vector<std::filesystem::path> files() const;
  // Of a file's __metadata__; shards of one model have the same as a rule.
  Metadata metadata(uint32_t file = 0) const { return shards_[file].header.metadata(); }

  // The text of the folder's config.json, at most 64 MB; none if there is none, or for a single file.
  const std::optional<std::string>& configJson() const { return config_json_; }
  // See isSideFile; sorted by name. None for a single file.
  const std::vector<std::filesystem::path>& sideFiles() const { return side_files_; }

  // Cheap, to see whether a resumed run has the input it began with: sizes and headers of all files, config.json, and
  // 64 samples of 4 KiB spread over each file's data. Does not see a change that touches no sample.
  Hash128 fingerprint() const;

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
  void openFolder(const std::filesystem::path& folder);
  void finishOpening();
  std::string_view nameOf(size_t i) const;
  std::pair<uint32_t, size_t> locate(size_t i) const;

  std::vector<Shard> shards_;
  std::vector<size_t> first_;      // of each shard's tensors; one more at the end
  std::vector<uint32_t> by_name_;  // all tensors
  std::optional<std::string> config_json_;
  std::vector<std::filesystem::path> side_files_;
};

// Whether a file of a model's folder belongs beside the quantized weights as it is: tokenizers (tokenizer*, vocab.*,
// merges.txt, *.model, *.tiktoken, added_tokens.json, special_tokens_map.json), templates (*.jinja,
// chat_template.json), generation_config.json, the configurations of processors, model code that config.json names
// (*.py), and licence texts (LICENSE*, NOTICE*, USE_POLICY*). Not config.json and what else tells of weights (an output
// has its own), not weights in any container, not an earlier quantize_config.json or the like, not README*, which
// describes the original.
bool isSideFile(std::string_view name);

// A hash of all that a checkpoint holds, made from bytes that are read anyway: names, dtypes, shapes, contents. The
// same for the same tensors, however they are cut into shards and in whatever order they were read.
class SourceHasher {
 public:
  // The checkpoint outlives it.
  explicit SourceHasher(const Checkpoint& checkpoint);
  // The next bytes of tensor i. One thread at a time for one tensor, any number for different ones. Throws if offset is
  // not where the tensor's last piece ended.
  void add(size_t i, uint64_t offset, std::span<const std::byte> bytes);
  // Throws if a tensor was not added to its end.
  Hash128 digest() const;

 private:
  struct Tensor {
    uint64_t bytes = 0;
    uint64_t done = 0;
    std::optional<Hasher> hasher;  // while it grows
    Hash128 hash;
  };
  const Checkpoint& checkpoint_;
  std::vector<Tensor> tensors_;
};

}  // namespace nib::model
#endif
