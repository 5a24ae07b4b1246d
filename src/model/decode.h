// Decodes tensors of a checkpoint, dense or quantized, to floating-point values on a device.
#ifndef NIB_MODEL_DECODE_H
#define NIB_MODEL_DECODE_H

#include "model/archive/checkpoint.h"
#include "model/archive/container.h"
#include "model/archive/quantized_input.h"
#include "model/quantize/slice.h"
#include "model/timed_device.h"

#include <nibble/kit.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace nib::model {

// The logical tensors of a model. A quantized weight is one tensor, under the name of the dense tensor it replaces.
class ModelView {
 public:
  // checkpoint: must outlive the view. Throws.
  explicit ModelView(const Checkpoint& checkpoint);

  struct Tensor {
    std::string_view name;  // valid as long as the view
    std::vector<uint64_t> shape;
    std::string_view type;                // "int4", "F16"
    Dtype dtype = Dtype::kF32;            // dense tensors only
    size_t index = 0;                     // in the checkpoint; for a quantized weight, the index of its first part
    const FoundWeight* weight = nullptr;  // NULL for dense tensors
    uint64_t bytes = 0;                   // stored size, all parts
    std::optional<Dtype> declared = {};   // dense tensors only: TensorInfo::declared

    uint64_t elements() const;
  };
  const std::vector<Tensor>& tensors() const { return tensors_; }  // sorted by name
  // How many tensors were left out: they say how inputs of quantized weights are quantized.
  size_t dropped() const { return quantized_.dropped.size(); }
  const Tensor* find(std::string_view name) const;
  const Checkpoint& checkpoint() const { return checkpoint_; }

 private:
  const Checkpoint& checkpoint_;
  QuantizedInput quantized_;
  std::vector<Tensor> tensors_;
};

// Whether a device can hold the weight's codes; else only its values.
inline bool decodesToBlob(const FoundWeight& weight) { return !weight.transposed && weight.groups_of.empty(); }

// Decodes ranges of elements into a device buffer. Reuses plans and buffers between calls. Not thread-safe.
class Decoder {
 public:
  Decoder(const TimedDevice& device, const ModelView& view);
  ~Decoder();
  // The element type that decode() writes: the tensor's own type if it is dense, fp32 if it is quantized. None if the
  // tensor cannot be decoded: integers, ...
  std::optional<NibType> typeOf(const ModelView::Tensor& tensor) const;
  // `first` and, except for the last chunk, `count` of decode() must be multiples of this many elements.
  uint64_t unit(const ModelView::Tensor& tensor) const;
  // Writes elements [first, first + count), in row-major order. Throws.
  void decode(const ModelView::Tensor& tensor, uint64_t first, uint64_t count, const kit::Range& to);
  // The same of a matrix with `cols` columns that is a part of the tensor; first and count may be any.
  void decodeSlice(const ModelView::Tensor& tensor, const Slice& slice, uint32_t cols, uint64_t first, uint64_t count,
                   const kit::Range& to);
  // Loads the blob of whole rows of a quantized weight: elements [first, first + count). Not for weights with double
  // quantization, and those that decodesToBlob() excludes. Throws.
  void loadRows(const ModelView::Tensor& tensor, uint64_t first, uint64_t count, const kit::Range& to);
  // Loads a whole tensor as it is stored: the blob of a quantized weight (NibWeights), or dense elements of its own
  // type. Throws.
  void load(const ModelView::Tensor& tensor, const kit::Range& to);

 private:
  struct Kernels;
  Kernels& kernels(const FoundWeight& found, uint32_t rows);
  void readRows(const FoundWeight& found, size_t part, const WeightPart& what, uint64_t offset,
                std::span<std::byte> out);
  void loadBlob(const FoundWeight& found, uint64_t first, uint64_t count, Kernels& work, const kit::Range& blob);
  void loadGrid(const FoundWeight& found, uint32_t first_row, uint32_t rows, const kit::Range& scales) const;
  void decodeWeight(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to);
  void decodeGathered(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to);
  void decodeTransposed(const FoundWeight& found, uint64_t first, uint64_t count, const kit::Range& to);
  TimedDevice device_;
  const ModelView& view_;
  std::unique_ptr<Kernels> kernels_;
  // Rows that readRows has read last, as byte ranges of a part along rows.
  struct KeptRows {
    const FoundWeight* weight = nullptr;
    size_t part = 0;
    uint64_t begin = 0, end = 0;
    std::vector<std::byte> rows = {};
  };
  std::vector<KeptRows> kept_;
  // Values that decodeSlice has decoded last: matrices of a stack may be read in pieces.
  struct Decoded {
    const FoundWeight* weight = nullptr;
    uint64_t begin = 0, end = 0;
    std::vector<float> values;
  } decoded_;
};

}  // namespace nib::model
#endif
