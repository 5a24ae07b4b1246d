// The names that programs give the scales of a quantized weight and of its layer's inputs.
#ifndef NIB_MODEL_ARCHIVE_SCALE_NAMES_H
#define NIB_MODEL_ARCHIVE_SCALE_NAMES_H

#include "model/archive/checkpoint.h"

#include <cstddef>
#include <optional>
#include <string_view>

namespace nib::model {

// The tensor whose elements multiply the codes of this weight. Despite its name, weight_scale_inv is such a one
// (DeepSeek). Throws if there are two.
std::optional<size_t> findWeightScale(const Checkpoint& checkpoint, std::string_view weight);
// Whether the name ends as that of a tensor that findWeightScale finds, if it is the scale of nothing else.
bool isWeightScale(std::string_view name);
// Whether the name is that of a scale, zero point or maximum of inputs, of outputs, or of cached keys and values. They
// say nothing of the weights.
bool isActivationScale(std::string_view name);

// Whether FP8 codes with this scale are those of compressed-tensors: F8_E4M3 with one scale [1], or one per row
// [rows, 1].
bool isOfCompressedTensors(const TensorInfo& codes, const TensorInfo& scale);

}  // namespace nib::model
#endif
