// The values of weights as they are and as their codes stand for them, in host memory.
#ifndef NIB_MODEL_MIXED_ROUNDER_H
#define NIB_MODEL_MIXED_ROUNDER_H

#include "model/decode.h"
#include "model/quantize/quantize_weight.h"

#include <span>
#include <string>
#include <vector>

namespace nib::model {

class Rounder {
 public:
  // view: must outlive this.
  Rounder(const TimedDevice& device, const ModelView& view);
  // A dense matrix as fp32. Throws.
  std::vector<float> values(const ModelView::Tensor& tensor);
  // The values of the matrix once it is quantized, to nearest. Throws.
  std::vector<float> rounded(const WeightSpec& weight, std::span<const float> values);
  // Writes values [rows, cols] as elements of `type`. Throws.
  void store(std::span<const float> values, uint32_t rows, uint32_t cols, NibType type, const kit::Range& to) const;
  // The same in the shape and type of a dense matrix. Throws.
  void store(std::span<const float> values, const ModelView::Tensor& tensor, const kit::Range& to) const;

 private:
  TimedDevice device_;
  Decoder decoder_;
  WeightQuantizer quantizer_;
};

}  // namespace nib::model
#endif
