// Opens a model for reading: a folder in the Hugging Face layout, or one .safetensors file.
//
// A folder is read from the shards of model.safetensors.index.json, else from model.safetensors, else from its only
// *.safetensors file. Files may be symbolic links, as in a hub cache. Anything that is not a regular file (folders,
// FIFOs, devices) is refused, and so is pickle (pytorch_model.bin, *.pt, *.pth), because loading it can run code.
#ifndef NIB_MODEL_ARCHIVE_CHECKPOINT_H
#define NIB_MODEL_ARCHIVE_CHECKPOINT_H

#include "model/archive/hash.h"
#include "model/archive/posix_file.h"
#include "model/archive/safetensors_header.h"
#include "model/archive/side_files.h"

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
  std::string_view name;  // valid as long as the checkpoint
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  uint32_t file = 0;    // index into files()
  uint64_t offset = 0;  // byte offset in that file
};

// Thread-safe: any thread may call any function. Move only.
class Checkpoint {
 public:
  // Reads and checks every header, but no tensor data. Throws.
  explicit Checkpoint(const std::filesystem::path& path);

  // Tensors are sorted by file and, within a file, by offset: reading them in this order reads the disk sequentially.
  size_t size() const { return kept_.empty() ? first_.back() : kept_.size(); }
  TensorInfo info(size_t i) const;
  std::optional<size_t> find(std::string_view name) const;
  // Reads out.size() bytes of tensor i from byte `offset`. Throws; also if that exceeds the tensor.
  void read(size_t i, uint64_t offset, std::span<std::byte> out) const;

  // The safetensors files, sorted by name. Symbolic links in the paths are not resolved.
  std::vector<std::filesystem::path> files() const;
  // The __metadata__ of a file. The shards of a model usually have the same.
  Metadata metadata(uint32_t file = 0) const { return shards_[file].header.metadata(); }

  // The folder or file that was opened.
  const std::filesystem::path& path() const { return path_; }
  // The text of the folder's config.json, at most 4 MB. None if there is no such file, or for a single-file model.
  const std::optional<std::string>& configJson() const { return config_json_; }
  // The files beside config.json that say how weights are quantized (isQuantizationFile), sorted by name.
  struct TextFile {
    std::string name;
    std::string text;
  };
  const std::vector<TextFile>& quantizationFiles() const { return quantization_files_; }
  // The files beside the weights that a copy of the model needs, sorted by name. Empty for a single-file model.
  const std::vector<SideFile>& sideFiles() const { return side_files_; }
  // What a user should know of the folder, one line each: files that are neither read nor copied, an index that is out
  // of date.
  const std::vector<std::string>& notes() const { return notes_; }

  // A cheap hash to detect that the input of a resumed run has changed: covers the sizes and headers of all files,
  // config.json and the files like it, and 64 samples of 4 KiB spread over each file's data. Misses changes outside the
  // samples.
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
  void openStale(const std::filesystem::path& index, const std::string& absent);
  void dropUnnamed(const std::string& where, const std::vector<std::vector<bool>>& named);
  void openFolder(const std::filesystem::path& folder);
  void finishOpening();
  std::string_view nameOf(size_t i) const;
  std::pair<uint32_t, size_t> locate(size_t i) const;

  std::vector<Shard> shards_;
  std::vector<size_t> first_;      // number of each shard's first tensor, then the total count
  std::vector<uint32_t> kept_;     // the numbers of the tensors; empty = all are
  std::vector<uint32_t> by_name_;  // indices of all tensors, sorted by name
  std::filesystem::path path_;
  std::optional<std::string> config_json_;
  std::vector<TextFile> quantization_files_;
  std::vector<SideFile> side_files_;
  std::vector<std::string> notes_;
};

// Whether a file describes how weights are quantized: hf_quant_config.json of ModelOpt, quantize_config.json of GPTQ,
// quant_config.json of AWQ, quantization_config.json, the maps of quanto, and quant_model_description*.json of
// ModelSlim.
bool isQuantizationFile(std::string_view name);

// Hashes all tensors of a checkpoint (names, dtypes, shapes, contents) from bytes that the caller reads anyway. The
// result depends neither on the split into shards nor on the order of the tensors.
class SourceHasher {
 public:
  // checkpoint: must outlive the hasher.
  explicit SourceHasher(const Checkpoint& checkpoint);
  // Adds the next bytes of tensor i. Different tensors may be added concurrently, one tensor by one thread at a time.
  // Throws if `offset` is not the end of the tensor's previous chunk.
  void add(size_t i, uint64_t offset, std::span<const std::byte> bytes);
  // Throws unless all bytes of all tensors were added.
  Hash128 digest() const;

 private:
  struct Tensor {
    uint64_t bytes = 0;
    uint64_t done = 0;
    std::optional<Hasher> hasher;  // until the last byte is added
    Hash128 hash;
  };
  const Checkpoint& checkpoint_;
  std::vector<Tensor> tensors_;
};

}  // namespace nib::model
#endif
