#include "model/suggest/footprint.h"

#include "model/arch/decoder.h"
#include "model/archive/error.h"
#include "model/archive/module_name.h"
#include "model/quantize/gptq/memory.h"
#include "model/quantize/module_kinds.h"

#include <algorithm>
#include <set>

namespace nib::model {
namespace {

constexpr uint32_t kStepTokens = 512;

Storage denseStorage(Dtype dense) {
  Storage storage;
  storage.weights.scale_type = *nibTypeOf(dense);
  return storage;
}

}  // namespace

uint64_t NetworkLayers::elements() const {
  uint64_t sum = 0;
  for (const Layer& layer : layers) sum += uint64_t(layer.rows) * layer.cols;
  return sum;
}

NetworkLayers networkLayers(const ModelConfig& config, Dtype dense) {
  NetworkLayers network;
  network.dense = dense;
  BodyOptions options{.max_tokens = 1, .cache_rows = 1, .positions = 1, .storage = {}};
  options.storage = [&](const std::string&) { return denseStorage(dense); };
  const graph::Graph graph = bodyGraph(config, options);
  for (const graph::Node& node : graph.nodes()) {
    if (node.description()->op != NIB_OP_MATMUL || !isBlockLinear(node.name + ".weight")) continue;
    const auto& desc = *reinterpret_cast<const NibMatmulDesc*>(node.description());
    network.layers.push_back({node.name, desc.rows, desc.cols});
  }
  if (network.layers.empty()) throw Error("the network has no linear layers");
  return network;
}

LayerWeights weightsAt(const NetworkLayers& network, const SelectionOptions& selection, const Container& container) {
  LayerWeights weights;
  for (const NetworkLayers::Layer& layer : network.layers) {
    std::optional<WeightSpec>& weight = weights[layer.module];
    if (!selection.type.quantized()) continue;
    const std::string name = layer.module + std::string(kWeightEnd);
    TensorInfo tensor;
    tensor.name = name;
    tensor.dtype = network.dense;
    tensor.shape = {layer.rows, layer.cols};
    const Decision decision = decide(tensor, selection, container);
    if (decision.kind == Decision::kQuantize) weight = decision.weight;
  }
  return weights;
}

Footprint footprintOf(const ModelConfig& config, const NetworkLayers& network, const LayerWeights& weights,
                      uint32_t context) {
  const auto storage = [&](const std::string& module) {
    Storage stored = denseStorage(network.dense);
    const auto found = weights.find(module);
    if (found != weights.end() && found->second) stored.weights = found->second->weights;
    return stored;
  };
  const BodyOptions options{
      .max_tokens = std::min(kStepTokens, context), .cache_rows = context, .positions = context, .storage = storage};
  const graph::Graph body = bodyGraph(config, options);
  const graph::Graph head =
      headGraph(config, {.max_rows = 1, .hidden_rows = options.max_tokens, .select = 1, .storage = storage});
  Footprint result;
  std::set<std::string> seen = {kHidden};
  uint64_t memory = 0;
  for (const graph::Graph* graph : {&body, &head}) {
    for (const graph::Value& value : graph->values()) {
      if (value.storage != graph::Storage::kMemory || value.in_place_of != graph::kNoValue) continue;
      if (graph == &body) memory += value.size_bytes;
      if (!seen.insert(value.name).second) continue;
      const bool is_cache = value.name.ends_with(".cache");
      (is_cache ? result.cache : result.weights) += value.size_bytes;
      if (weights.contains(value.name)) result.layers += value.size_bytes;
    }
  }
  for (const graph::Node& node : body.nodes()) {
    if (node.description()->op != NIB_OP_GATHER || config.tied) continue;
    for (const graph::Operand& operand : node.operands) {
      if (operand.role == NIB_ROLE_WEIGHTS) result.embedding += body.value(operand.value).size_bytes;
    }
  }
  result.activations = graphBytes(body) - memory;
  return result;
}

}  // namespace nib::model
