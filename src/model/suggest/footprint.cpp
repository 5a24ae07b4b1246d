#include "model/suggest/footprint.h"

#include "model/arch/decoder.h"
#include "model/archive/error.h"
#include "model/archive/gguf/formats.h"
#include "model/archive/gguf/metadata.h"
#include "model/archive/gguf/network.h"
#include "model/archive/module_name.h"
#include "model/blocks/memory.h"
#include "model/quantize/module_kinds.h"

#include <algorithm>
#include <deque>
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
  const auto storage = [&](const std::string&) { return denseStorage(dense); };
  const graph::Graph body = bodyGraph(config, {.max_tokens = 1, .cache_rows = 1, .positions = 1, .storage = storage});
  for (const graph::Node& node : body.nodes()) {
    if (node.description()->op == NIB_OP_GATHER) {
      const auto& desc = *reinterpret_cast<const NibGatherDesc*>(node.description());
      network.others.push_back({node.name, desc.rows, desc.cols});
    } else if (node.description()->op == NIB_OP_MATMUL && isBlockLinear(node.name + std::string(kWeightEnd))) {
      const auto& desc = *reinterpret_cast<const NibMatmulDesc*>(node.description());
      network.layers.push_back({node.name, desc.rows, desc.cols});
    }
  }
  if (network.layers.empty()) throw Error("the network has no linear layers");
  if (!config.tied) network.others.push_back({hiddenStates(config).head, config.vocabulary, config.hidden});
  return network;
}

LayerWeights weightsAt(const NetworkLayers& network, const std::string& config_json, SelectionOptions selection,
                       const Container& container, const GgufMix* mix) {
  LayerWeights weights;
  std::deque<std::string> names;
  std::vector<TensorInfo> tensors;
  for (const auto* list : {&network.layers, &network.others}) {
    for (const NetworkLayers::Layer& layer : *list) {
      TensorInfo tensor;
      tensor.name = names.emplace_back(layer.module + std::string(kWeightEnd));
      tensor.dtype = network.dense;
      tensor.shape = {layer.rows, layer.cols};
      tensors.push_back(tensor);
    }
  }
  if (mix != nullptr) {
    const GgufNetwork gguf = readGgufNetwork(config_json);
    GgufMetadata ignored;
    std::vector<std::string> notes;
    addNetwork(gguf, ignored, notes);  // throws what writing the file would
    const MixModel model{gguf.family->architecture, gguf.config.layers, gguf.config.heads,
                         gguf.config.key_heads,     gguf.experts,       false};
    std::vector<MixTensor> mixed;
    std::map<std::string, std::string> sources;
    for (const TensorInfo& tensor : tensors) {
      const std::optional<GgufPlace> place = ggufPlace(*gguf.family, tensor.name);
      if (!place) continue;
      mixed.push_back({place->name, tensor.shape[1]});
      sources[place->name] = tensor.name;
    }
    for (const auto& [name, type] : chooseGgufTypes(*mix, model, mixed)) {
      const uint32_t format = formatOfGgml(type);
      if (format == 0) throw Error(std::string(mix->name) + " has a type that this build of nibble does not have");
      selection.chosen[sources.at(name)] = {{format, Dtype::kF32}, {}};
    }
  }
  const MatrixFacts facts(tensors, config_json);
  for (const TensorInfo& tensor : tensors) {
    std::optional<WeightSpec>& weight = weights[std::string(moduleOf(tensor.name))];
    if (!selection.type.quantized()) continue;
    const Decision decision = decide(tensor, selection, container, facts);
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
      if (isBlockLinear(value.name + std::string(kWeightEnd))) result.layers += value.size_bytes;
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
