// The memory of a network while it runs, for weights of a type, from its sizes alone.
#ifndef NIB_MODEL_SUGGEST_FOOTPRINT_H
#define NIB_MODEL_SUGGEST_FOOTPRINT_H

#include "model/arch/config.h"
#include "model/archive/container.h"
#include "model/archive/gguf/mix.h"
#include "model/quantize/selection.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace nib::model {

// The matrices of a network.
struct NetworkLayers {
  struct Layer {
    std::string module;
    uint32_t rows = 0, cols = 0;
  };
  std::vector<Layer> layers;  // linear ones of the blocks
  std::vector<Layer> others;  // the embedding and, unless it is tied, the head
  Dtype dense = Dtype::kF16;  // of the weights as they are

  uint64_t elements() const;  // of `layers`
};
// Throws.
NetworkLayers networkLayers(const ModelConfig& config, Dtype dense);

// How the matrices are quantized, by module; none = they stay as they are.
using LayerWeights = std::map<std::string, std::optional<WeightSpec>>;
// config_json: of the network. mix: chooses the types, with --format gguf. Throws if the container refuses the type.
LayerWeights weightsAt(const NetworkLayers& network, const std::string& config_json, SelectionOptions selection,
                       const Container& container, const GgufMix* mix = nullptr);

struct Footprint {
  uint64_t weights = 0;      // all, embedding and head included
  uint64_t layers = 0;       // the weights of `NetworkLayers` alone
  uint64_t embedding = 0;    // the rows of an embedding that is no head, of which a token reads one
  uint64_t cache = 0;        // keys and values of `context` tokens, fp32
  uint64_t activations = 0;  // of steps of 512 tokens at most
  uint64_t all() const { return weights + cache + activations; }
  // Bytes that are read for a token at the end of the context.
  uint64_t perToken() const { return weights - embedding + cache; }
};
// Throws.
Footprint footprintOf(const ModelConfig& config, const NetworkLayers& network, const LayerWeights& weights,
                      uint32_t context);

}  // namespace nib::model
#endif
