// How much each layer of a quantized model costs alone: the predictions of the model it was made from, with only this
// layer's weights replaced.
#ifndef NIB_MODEL_MIXED_SENSITIVITY_H
#define NIB_MODEL_MIXED_SENSITIVITY_H

#include "model/decode.h"
#include "model/eval/evaluate.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct LayerSensitivity {
  std::string name;  // module
  Mean kl;           // of A's predictions from those with the layer's weights of B
  Mean nll_delta;    // with them - without
};

// The linear layers of the blocks, and the head if it has weights of its own, in the order of the network. a must be
// dense. Values of B are rounded to A's element type. A layer whose weights are equal costs 0 and takes no time.
// progress: tokens that forward passes have processed, of all; may be empty. Throws.
std::vector<LayerSensitivity> layerSensitivities(const TimedDevice& device, const ModelView& a,
                                                 const ModelConfig& config, const ModelView& b,
                                                 std::span<const std::vector<uint32_t>> sequences,
                                                 const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
