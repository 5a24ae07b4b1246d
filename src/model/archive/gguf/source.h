// A model of GGUF files: one, or the parts of a split.
#ifndef NIB_MODEL_ARCHIVE_GGUF_SOURCE_H
#define NIB_MODEL_ARCHIVE_GGUF_SOURCE_H

#include "model/archive/gguf/header.h"
#include "model/archive/gguf/names.h"
#include "model/archive/posix_file.h"
#include "model/archive/row_order.h"
#include "model/archive/tensor_source.h"

#include <memory>

namespace nib::model {

// Tensors of the families that nibble knows have the names and the rows of the Hugging Face layout, and config.json and
// the tokenizer's files are made from the metadata. Other models keep their names, and have no config.json.
class GgufSource : public TensorSource {
 public:
  // path: a file, or a folder with one model. Throws.
  explicit GgufSource(const std::filesystem::path& path);

  size_t size() const override { return tensors_.size(); }
  std::string_view name(size_t i) const override { return tensors_[i].name; }
  TensorInfo info(size_t i) const override;
  void read(size_t i, uint64_t offset, std::span<std::byte> out) const override;
  std::vector<std::filesystem::path> files() const override;
  Metadata metadata(uint32_t file) const override;
  void fingerprint(Hasher& hasher) const override;

 private:
  struct Part {
    Part(File opened, const std::string& where);
    File file;
    GgufHeader header;
  };
  struct Tensor {
    std::string name;
    uint32_t part = 0;
    uint32_t index = 0;  // in the part's header
    RowOrder order;
    // The tensor is one of so many that the file has as one: the matrix of an expert.
    uint64_t parts = 1;
    uint64_t which = 0;
    float addend = 0;  // of each element, of F32
  };

  void openParts(const std::filesystem::path& path);
  void addTensors();
  void addFamilyTensors(const GgufFamily& family);
  void addExperts(const GgufFamily& family, uint32_t part, uint32_t index);
  RowOrder orderOf(const std::string& name, const GgufHeader::Tensor& tensor) const;
  const GgufHeader::Tensor& stored(const Tensor& tensor) const {
    return parts_[tensor.part]->header.tensors()[tensor.index];
  }

  std::vector<std::unique_ptr<const Part>> parts_;
  std::vector<Tensor> tensors_;
};

}  // namespace nib::model
#endif
