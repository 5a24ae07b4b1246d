#include "model/mixed/sensitivity.h"

#include "model/archive/error.h"
#include "model/mixed/divergence.h"
#include "model/mixed/rounder.h"

#include <optional>

namespace nib::model {
namespace {

struct Layer {
  std::string module;
  const ModelView::Tensor* a;
  const ModelView::Tensor* b;
};

std::vector<std::string> modulesOf(const ModelConfig& config) {
  std::vector<std::string> modules;
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    for (const std::vector<std::string>& group : linearLayers(config, layer)) {
      modules.insert(modules.end(), group.begin(), group.end());
    }
  }
  if (!config.tied) modules.push_back(hiddenStates(config).head);
  return modules;
}

std::vector<Layer> layersOf(const ModelView& a, const ModelView& b, const ModelConfig& config) {
  std::vector<Layer> layers;
  for (const std::string& module : modulesOf(config)) {
    const std::string name = module + ".weight";
    const ModelView::Tensor *of_a = a.find(name), *of_b = b.find(name);
    if (of_a == nullptr || of_b == nullptr) {
      throw Error(std::string(of_a == nullptr ? "A" : "B") + " has no tensor " + quoteText(name));
    }
    if (of_a->weight != nullptr) {
      throw Error("--sensitivity: A must be dense, as B's weights take the place of A's, but its " + quoteText(name) +
                  " is " + std::string(of_a->type) + ": give the model that B was made from");
    }
    if (of_a->shape != of_b->shape) throw Error(quoteText(name) + " has one shape in A and another in B");
    layers.push_back({module, of_a, of_b});
  }
  return layers;
}

}  // namespace

std::vector<LayerSensitivity> layerSensitivities(const TimedDevice& device, const ModelView& a,
                                                 const ModelConfig& config, const ModelView& b,
                                                 std::span<const std::vector<uint32_t>> sequences,
                                                 const std::function<void(uint64_t done, uint64_t all)>& progress) {
  const std::vector<Layer> layers = layersOf(a, b, config);
  uint64_t tokens = 0, done = 0;
  for (const std::vector<uint32_t>& sequence : sequences) tokens += sequence.size();
  const uint64_t all = tokens * (1 + layers.size());
  const auto advance = [&] {
    done += tokens;
    if (progress) progress(done, all);
  };
  Rounder of_a(device, a), of_b(device, b);
  Divergence divergence(device, a, config, sequences, !config.tied);
  advance();
  std::vector<LayerSensitivity> list;
  for (const Layer& layer : layers) {
    LayerSensitivity& to = list.emplace_back();
    to.name = layer.module;
    const std::vector<float> kept = of_a.values(*layer.a), replaced = of_b.values(*layer.b);
    if (replaced != kept) {
      const kit::Range weights = divergence.weights(layer.module);
      of_a.store(replaced, *layer.a, weights);
      const Divergence::Moved moved = divergence.measure();
      of_a.store(kept, *layer.a, weights);
      to.kl = moved.kl;
      to.nll_delta = moved.nll_delta;
    }
    advance();
  }
  return list;
}

}  // namespace nib::model
