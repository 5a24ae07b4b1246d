// The matrices of a model for which types are chosen, and what they take at each type.
#ifndef NIB_MODEL_MIXED_LAYERS_H
#define NIB_MODEL_MIXED_LAYERS_H

#include "model/arch/config.h"
#include "model/archive/container.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nib::model {

struct MixedLayer {
  std::string name;  // of the tensor
  uint64_t elements = 0;
  struct AtType {
    std::optional<WeightSpec> weight;  // none = it stays dense
    std::string type;                  // "int4:64", "F16"
    uint64_t bytes = 0;                // of all its tensors
  };
  std::vector<AtType> types;  // in the order of MixedOptions::types; only one if it is fixed
  bool fixed = false;         // by a rule

  std::string module() const;
};

struct MixedLayers {
  std::vector<MixedLayer> layers;
  uint64_t other_bytes = 0;  // of all other tensors of the output
};

// Layers that get one type together, because runtimes fuse them: those with the same input. Indices of layers.
using LayerUnit = std::vector<size_t>;
// In the order of the network; what is no linear layer of a block, and what is fixed, is a unit of its own. separate:
// so is everything.
std::vector<LayerUnit> unitsOf(const ModelConfig& config, const std::vector<MixedLayer>& layers, bool separate);

}  // namespace nib::model
#endif
