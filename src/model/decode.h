// Rows of a weight, dense or quantized, as values on a device.
#ifndef NIB_MODEL_DECODE_H
#define NIB_MODEL_DECODE_H

#include "model/archive/checkpoint.h"
#include "model/archive/container.h"
#include "model/station.h"

#include <nibble/kit.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace nib::model {

// A model's tensors by the names that they have unquantized.
class ModelView {
 public:
  // The checkpoint outlives it. Throws.
  explicit ModelView(const Checkpoint& checkpoint);

  struct Tensor {
    std::string_view name;               // lives as long as the view
    std::vector<uint64_t> shape;
    std::string_view type;               // "int4", "F16"
    Dtype dtype = Dtype::kF32;           // of a dense one
    size_t index = 0;                    // in the checkpoint, of a quantized one its first part
    const FoundWeight* weight = nullptr;  // of a quantized one
    uint64_t bytes = 0;                  // as stored

    uint64_t elements() const;
  };
  const std::vector<Tensor>& tensors() const { return tensors_; }  // by name
  const Tensor* find(std::string_view name) const;
  const Checkpoint& checkpoint() const { return checkpoint_; }

 private:
  const Checkpoint& checkpoint_;
  std::vector<FoundWeight> weights_;
  std::vector<Tensor> tensors_;
};

// Elements [first, first + count) of a tensor, in row-major order, to a range of a device buffer. Keeps plans and buffers
// from piece to piece. One thread.
class Decoder {
 public:
  Decoder(const Station& station, const ModelView& view);
  ~Decoder();
  // What decoding gives: the dense type, or fp32. None: not to be decoded (integers, FP8 that is no matrix, ...).
  std::optional<NibType> typeOf(const ModelView::Tensor& tensor) const;
  // Pieces of this many elements, or any multiple of it.
  uint64_t unit(const ModelView::Tensor& tensor) const;
  void decode(const ModelView::Tensor& tensor, uint64_t first, uint64_t count, const kit::Range& to);

 private:
  struct Worker;
  Worker& worker(const FoundWeight& found, uint32_t rows);
  void decodeWeight(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to);
  Station station_;
  const ModelView& view_;
  std::unique_ptr<Worker> worker_;
};

}  // namespace nib::model
#endif
