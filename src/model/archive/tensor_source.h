// A source is a model's files as named tensors with metadata, whatever kind of file they are in. A kind of files is a
// class here and a row in sources.cpp; README.md says how to add one.
#ifndef NIB_MODEL_ARCHIVE_TENSOR_SOURCE_H
#define NIB_MODEL_ARCHIVE_TENSOR_SOURCE_H

#include "model/archive/dtype.h"
#include "model/archive/hash.h"
#include "model/archive/side_files.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::model {

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct TensorInfo {
  std::string_view name;  // valid as long as the source
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape;
  uint64_t bytes = 0;
  uint32_t file = 0;    // index into files()
  uint64_t offset = 0;  // byte offset in that file
  uint32_t blocks = 0;  // the id of ggml's type whose blocks the bytes are, with dtype kU8; 0 = elements of dtype
  // The type in which a copy is stored; none = dtype. The values of an edited tensor are computed, as fp32.
  std::optional<Dtype> declared = {};
};

struct TextFile {
  std::string name;
  std::string text;
};

// The parts of a model besides its tensors.
struct Surroundings {
  std::optional<std::string> config_json;
  std::vector<TextFile> quantization_files;  // that say how weights are quantized, sorted by name
  std::vector<SideFile> side_files;          // that a copy of the model needs, sorted by name
  std::vector<std::string> notes;            // what a user should know, one line each
};

// Thread-safe: any thread may call any function.
class TensorSource {
 public:
  TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;
  virtual ~TensorSource() = default;

  // Tensors are in the order in which they lie in the files.
  virtual size_t size() const = 0;
  virtual std::string_view name(size_t i) const = 0;
  virtual TensorInfo info(size_t i) const = 0;
  // Reads out.size() bytes of tensor i from byte `offset`, which do not exceed the tensor. Throws.
  virtual void read(size_t i, uint64_t offset, std::span<std::byte> out) const = 0;
  virtual std::vector<std::filesystem::path> files() const = 0;
  // Names and texts that a file holds beside its tensors.
  virtual Metadata metadata(uint32_t file) const = 0;
  // Adds the headers of all files, their sizes, and samples of their data. Throws.
  virtual void fingerprint(Hasher& hasher) const = 0;

  const Surroundings& surroundings() const { return surroundings_; }
  std::optional<size_t> find(std::string_view name) const;

 protected:
  // For find(); call it once all tensors are known. Throws if two have the same name.
  void indexNames();
  // Adds 64 samples of 4 KiB, spread over `bytes` bytes from `begin`. read: fills a span from an offset of the file.
  template <class Read>
  static void addSamples(Hasher& hasher, uint64_t begin, uint64_t bytes, const Read& read);

  Surroundings surroundings_;

 private:
  std::vector<uint32_t> by_name_;
};

template <class Read>
void TensorSource::addSamples(Hasher& hasher, uint64_t begin, uint64_t bytes, const Read& read) {
  constexpr uint64_t kSamples = 64;
  std::vector<std::byte> sample(size_t(bytes < 4096 ? bytes : 4096));
  const uint64_t last = bytes - sample.size();
  for (uint64_t k = 0; k < kSamples && !sample.empty(); ++k) {
    read(begin + last / (kSamples - 1) * k + last % (kSamples - 1) * k / (kSamples - 1), std::span(sample));
    hasher.add(sample);
  }
}

// A kind of files.
struct SourceKind {
  const char* name;
  // Whether the path is a model of this kind. start: the first bytes of a file, empty for a folder.
  bool (*recognizes)(const std::filesystem::path& path, std::string_view start);
  // Reads and checks every header, but no tensor data. Throws.
  std::unique_ptr<TensorSource> (*open)(const std::filesystem::path& path);
};

// Opens a model with the first kind that recognizes it. Throws.
std::unique_ptr<TensorSource> openSource(const std::filesystem::path& path);

extern const SourceKind kGgufSource;
// Takes everything, and explains what it cannot read: the last kind of all.
extern const SourceKind kSafetensorsSource;

// Whether a file describes how weights are quantized: hf_quant_config.json of ModelOpt, quantize_config.json of GPTQ,
// quant_config.json of AWQ, quantization_config.json, the maps of quanto, and quant_model_description*.json of
// ModelSlim.
bool isQuantizationFile(std::string_view name);

}  // namespace nib::model
#endif
