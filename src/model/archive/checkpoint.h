// Opens a model for reading: a folder in the Hugging Face layout, or one file.
//
// A folder is read from the shards of model.safetensors.index.json, else from model.safetensors, else from its only
// *.safetensors file. Files may be symbolic links, as in a hub cache. Anything that is not a regular file (folders,
// FIFOs, devices) is refused, and so is pickle (pytorch_model.bin, *.pt, *.pth), because loading it can run code.
#ifndef NIB_MODEL_ARCHIVE_CHECKPOINT_H
#define NIB_MODEL_ARCHIVE_CHECKPOINT_H

#include "model/archive/hash.h"
#include "model/archive/tensor_source.h"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::model {

// Thread-safe: any thread may call any function. Move only.
class Checkpoint {
 public:
  // Reads and checks every header, but no tensor data. Throws.
  explicit Checkpoint(const std::filesystem::path& path) : path_(path), source_(openSource(path)) {}
  // A source that was made from the model at `path`.
  Checkpoint(const std::filesystem::path& path, std::unique_ptr<const TensorSource> source)
      : path_(path), source_(std::move(source)) {}

  // Tensors are sorted by file and, within a file, by offset: reading them in this order reads the disk sequentially.
  size_t size() const { return source_->size(); }
  TensorInfo info(size_t i) const;
  std::optional<size_t> find(std::string_view name) const { return source_->find(name); }
  // Reads out.size() bytes of tensor i from byte `offset`. Throws; also if that exceeds the tensor.
  void read(size_t i, uint64_t offset, std::span<std::byte> out) const;

  // The files of weights, sorted by name. Symbolic links in the paths are not resolved.
  std::vector<std::filesystem::path> files() const { return source_->files(); }
  // Metadata of a file, beside its tensors. The shards of a model usually say the same.
  Metadata metadata(uint32_t file = 0) const { return source_->metadata(file); }

  // The folder or file that was opened.
  const std::filesystem::path& path() const { return path_; }
  // The text of the folder's config.json, at most 4 MB. None if there is no such file, or for a single-file model.
  const std::optional<std::string>& configJson() const { return source_->surroundings().config_json; }
  // The files beside config.json that say how weights are quantized (isQuantizationFile), sorted by name.
  const std::vector<TextFile>& quantizationFiles() const { return source_->surroundings().quantization_files; }
  // The files beside the weights that a copy of the model needs, sorted by name. Empty for a single-file model.
  const std::vector<SideFile>& sideFiles() const { return source_->surroundings().side_files; }
  // Notes on the folder for the user, one line each: files that are neither read nor copied, an index that is out
  // of date.
  const std::vector<std::string>& notes() const { return source_->surroundings().notes; }

  // A cheap hash to detect that the input of a resumed run has changed: covers the sizes and headers of all files,
  // config.json and the files like it, and 64 samples of 4 KiB spread over each file's data. Misses changes outside the
  // samples.
  Hash128 fingerprint() const;

 private:
  std::filesystem::path path_;
  std::unique_ptr<const TensorSource> source_;
};

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
