// Quantizes the weights of a dense checkpoint while a network loads them, as if they were stored quantized: to measure
// a type without writing a model, also types that no container holds.
#ifndef NIB_MODEL_RUN_IN_MEMORY_H
#define NIB_MODEL_RUN_IN_MEMORY_H

#include "model/decode.h"
#include "model/quantize/selection.h"

#include <cstdint>
#include <optional>

namespace nib::model {

class InMemory {
 public:
  explicit InMemory(SelectionOptions options) : options_(std::move(options)) {}

  // How a tensor would be quantized; none if it stays as it is. Throws.
  std::optional<FoundWeight> find(const ModelView& view, const ModelView::Tensor& tensor) const;
  // Decodes the tensor and writes its blob. Throws.
  void load(const TimedDevice& device, Decoder& decoder, const ModelView::Tensor& tensor, const WeightSpec& weight,
            const kit::Range& to) const;

 private:
  SelectionOptions options_;
};

// Bits per weight with scales and zero points, in the layout of nibble's blob.
double bitsPerWeight(const WeightSpec& weight);

}  // namespace nib::model
#endif
