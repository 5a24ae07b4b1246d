// Errors of the outputs of a model's linear layers, against those of another model of the same network.
#ifndef NIB_MODEL_EVAL_LAYER_OUTPUTS_H
#define NIB_MODEL_EVAL_LAYER_OUTPUTS_H

#include "model/eval/evaluate.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

// Sum of (b - a)^2 over sum of a^2, of all outputs of a layer; without the residual that a layer may be added to.
struct LayerError {
  std::string name;
  double whole = 0;  // each model runs on its own hidden states: errors of earlier layers are in it
  double block = 0;  // B's hidden states are replaced by A's after each block: errors of earlier blocks are not in it
};

// In the order of the network. Runs windows one at a time. Throws; also if the layers of A and B differ.
std::vector<LayerError> layerErrors(Runner& a, Runner& b, std::span<const uint32_t> ids, const EvalOptions& options,
                                    const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
