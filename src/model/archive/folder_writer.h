// Writes a model folder: model.safetensors, or shards and their index, with config.json and other files.
#ifndef NIB_MODEL_ARCHIVE_FOLDER_WRITER_H
#define NIB_MODEL_ARCHIVE_FOLDER_WRITER_H

#include "model/archive/publication.h"
#include "model/archive/safetensors_header.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct OutputTensor : TensorSpec {
  // Tensors of the same group (the parts of one weight) are written to the same file. None = a group of its own.
  std::optional<uint64_t> group;
};

struct FolderWriterOptions : PublicationOptions {
  Metadata metadata = {{"format", "pt"}};      // of each file; transformers requires "format"
  uint64_t max_shard_bytes = 5'000'000'000;    // tensor bytes per file; a larger group has a file of its own
  std::vector<std::string> nested_files = {};  // side files, of which the metadata names those in subfolders
};

// Assigns tensors to files, as indices into `tensors`: greedily in their order, each group at the position of its first
// tensor. Throws if a tensor's shape and dtype do not fill whole bytes.
std::vector<std::vector<size_t>> planShards(std::span<const OutputTensor> tensors, uint64_t max_shard_bytes);
// "model.safetensors" if count is 1, else "model-00002-of-00003.safetensors" (shard counts from 0).
std::string shardName(size_t shard, size_t count);

// Threads: as Publication.
class FolderWriter {
 public:
  // Throws as Publication does, and for equal names or sizes that overflow.
  FolderWriter(const FolderWriterOptions& options, std::span<const OutputTensor> tensors);

  // t: index into the constructor's tensors.
  bool isFinished(size_t t) const { return publication_.isFinished(t); }
  void write(size_t t, uint64_t offset, std::span<const std::byte> bytes) { publication_.write(t, offset, bytes); }
  void finished(size_t t) { publication_.finished(t); }
  // For config.json, the tokenizer, ...
  void addFile(const std::string& name, std::string_view text) { publication_.addFile(name, text); }
  void copyFile(const std::string& name, const std::filesystem::path& from) { publication_.copyFile(name, from); }
  // Adds the index if there are several shards, and publishes the folder; see Publication.
  void publish();

  uint64_t totalBytes() const { return total_bytes_; }  // all tensors, without headers

 private:
  struct Plan {
    std::vector<PlannedFile> files;
    std::vector<PlannedItem> items;
    std::string index;  // empty for one file
    uint64_t total_bytes = 0;
  };
  static Plan plan(const FolderWriterOptions& options, std::span<const OutputTensor> tensors);
  FolderWriter(Plan plan, const FolderWriterOptions& options);

  std::string index_;
  uint64_t total_bytes_;
  Publication publication_;
};

}  // namespace nib::model
#endif
