// Writes a model, whatever its kind of file: a container plans the files (Container::plan), and the writer fills them.
#ifndef NIB_MODEL_ARCHIVE_MODEL_WRITER_H
#define NIB_MODEL_ARCHIVE_MODEL_WRITER_H

#include "model/archive/publication.h"
#include "model/archive/row_order.h"
#include "model/archive/tensor_source.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

// A tensor to write.
struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape;
  uint32_t blocks = 0;  // the id of ggml's type whose blocks the bytes are, with dtype kU8; 0 = elements of dtype
};

struct OutputTensor : TensorSpec {
  // Tensors of the same group (the parts of one weight) are written to the same file. None = a group of its own.
  std::optional<uint64_t> group;
};

// Where every byte of an output goes.
struct OutputPlan {
  OutputKind kind = OutputKind::kFolder;
  std::vector<PlannedFile> files;
  std::vector<PlannedItem> items;   // the caller's tensors, in their order; then those of `added`
  std::vector<RowOrder> rows = {};  // of each item; empty = all rows are in order
  std::vector<float> offsets = {};  // added to the elements of each item, then of F32; empty = nothing is
  // Tensors that the container adds: the content of the last items.
  std::vector<std::vector<std::byte>> added = {};
  std::vector<TextFile> texts = {};     // kFolder: files that are added when all tensors are complete
  bool takes_files = true;              // kFolder: config.json, the tokenizer, ... belong into it
  uint64_t total_bytes = 0;             // all tensors, without headers
  std::vector<std::string> notes = {};  // what a user should know, one line each
};

// The importance matrix that weights were quantized with.
struct ImportanceNote {
  std::string file;  // without its folder
  std::string dataset;
  uint32_t entries = 0, chunks = 0;
};

struct WriterOptions : PublicationOptions {
  Metadata metadata = {{"format", "pt"}};    // of each file; transformers requires "format"
  uint64_t max_shard_bytes = 5'000'000'000;  // tensor bytes per file; a larger group has a file of its own
  std::optional<uint64_t> split_bytes = {};  // of GGUF: as max_shard_bytes; none = one file
  std::optional<ImportanceNote> importance = {};
  std::optional<uint32_t> file_type = {};      // general.file_type of a GGUF file; none = that of most weights
  std::vector<std::string> nested_files = {};  // side files, of which the metadata names those in subfolders
};

// The plan of a folder of safetensors files: model.safetensors, or shards and their index. Throws for equal names, or
// sizes that overflow.
OutputPlan planSafetensors(const WriterOptions& options, std::span<const OutputTensor> tensors);
// Assigns tensors to files, as indices into `tensors`: greedily in their order, each group at the position of its first
// tensor. Throws if a tensor's shape and dtype do not fill whole bytes.
std::vector<std::vector<size_t>> planShards(std::span<const OutputTensor> tensors, uint64_t max_shard_bytes);
// "model.safetensors" if count is 1, else "model-00002-of-00003.safetensors" (shard counts from 0).
std::string shardName(size_t shard, size_t count);

// Threads: as Publication.
class ModelWriter {
 public:
  // Throws as Publication does. The kind of output is the plan's.
  ModelWriter(const PublicationOptions& options, OutputPlan plan);

  // t: index of a tensor of the plan.
  bool isFinished(size_t t) const { return publication_.isFinished(t); }
  // offset: in the rows of the Hugging Face layout.
  void write(size_t t, uint64_t offset, std::span<const std::byte> bytes);
  void finished(size_t t) { publication_.finished(t); }
  // Whether the output holds config.json, the tokenizer, ... as files.
  bool takesFiles() const { return takes_files_; }
  void addFile(const std::string& name, std::string_view text) { publication_.addFile(name, text); }
  void copyFile(const std::string& name, const std::filesystem::path& from) { publication_.copyFile(name, from); }
  // Adds the texts and tensors of the plan, and publishes the output; see Publication.
  void publish();

  uint64_t totalBytes() const { return total_bytes_; }  // all tensors, without headers

 private:
  bool takes_files_;
  std::vector<RowOrder> rows_;
  std::vector<float> offsets_;
  std::vector<std::vector<std::byte>> added_;
  size_t first_added_;
  std::vector<TextFile> texts_;
  uint64_t total_bytes_;
  Publication publication_;
};

}  // namespace nib::model
#endif
