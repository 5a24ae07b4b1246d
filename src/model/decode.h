// Rows of a weight, dense or quantized, as values on a device.
#ifndef NIB_MODEL_DECODE_H
#define NIB_MODEL_DECODE_H

#include "model/archive/checkpoint.h"
#include "model/archive/container.h"

#include <nibble/kit.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nib::model {

// A model's tensors by the names that they have unquantized.
class ModelView {
 public:
  // The checkpoint outlives it. Throws.
  explicit ModelView(const Checkpoint& checkpoint);

  struct Tensor {
    std::string name;
    std::vector<uint64_t> shape;
    std::string type;                    // "int4", "F16"
    Dtype dtype = Dtype::kF32;           // of a dense one
    size_t index = 0;                    // of a dense one, in the checkpoint
    const FoundWeight* weight = nullptr;  // of a quantized one
    uint64_t bytes = 0;                  // as stored
  };
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const Tensor* find(const std::string& name) const;
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const Container* container() const { return model_.container; }

 private:
  const Checkpoint& checkpoint_;
  FoundModel model_;
  std::vector<Tensor> tensors_;
  std::map<std::string, size_t> by_name_;
};

// Elements [first, first + count) of a tensor, in row-major order, to a range of a device buffer. One thread.
class Decoder {
 public:
  Decoder(const kit::Device& device, const ModelView& view) : device_(device), view_(view) {}
  // What decoding gives: the dense type, or fp32. None: not to be decoded (integers, FP8 without a scale, ...).
  std::optional<NibType> typeOf(const ModelView::Tensor& tensor) const;
  // Pieces of this many elements, or any multiple of it.
  uint64_t unit(const ModelView::Tensor& tensor) const;
  void decode(const ModelView::Tensor& tensor, uint64_t first, uint64_t count, const kit::Range& to);

 private:
  void decodeWeight(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to);
  kit::Device device_;
  const ModelView& view_;
};

}  // namespace nib::model
#endif
