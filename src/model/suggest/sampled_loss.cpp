#include "model/suggest/sampled_loss.h"

#include "model/arch/decoder.h"
#include "model/archive/error.h"
#include "model/archive/module_name.h"

#include <algorithm>

namespace nib::model {

SampledLoss::SampledLoss(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
                         std::span<const std::vector<uint32_t>> sequences, uint32_t blocks)
    : view_(view), rounder_(device, view), divergence_(device, view, config, sequences, false), all_(config.layers) {
  const uint32_t count = std::min(blocks, all_);
  for (uint32_t i = 0; i < count; ++i) {
    // In the middle of each of `count` equal parts.
    std::vector<std::string>& block = blocks_.emplace_back();
    for (const std::vector<std::string>& modules : linearLayers(config, (2 * i + 1) * all_ / (2 * count))) {
      block.insert(block.end(), modules.begin(), modules.end());
    }
    for (const std::string& module : block) {
      const ModelView::Tensor* tensor = view.find(module + std::string(kWeightEnd));
      if (tensor == nullptr) throw Error("the model has no tensor " + quoteText(module + std::string(kWeightEnd)));
      if (tensor->weight != nullptr) {
        throw Error(quoteText(tensor->name) + " is quantized already: losses are measured against a dense model");
      }
    }
  }
}

double SampledLoss::measure(const LayerWeights& weights) {
  double sum = 0;
  for (const std::vector<std::string>& modules : blocks_) {
    struct Kept {
      const ModelView::Tensor* tensor;
      kit::Range range;
      std::vector<float> values;
    };
    std::vector<Kept> kept;
    for (const std::string& module : modules) {
      const std::optional<WeightSpec>& weight = weights.at(module);
      if (!weight) continue;
      const ModelView::Tensor* tensor = view_.find(module + std::string(kWeightEnd));
      kept.push_back({tensor, divergence_.weights(module), rounder_.values(*tensor)});
      rounder_.store(rounder_.rounded(*weight, kept.back().values), *tensor, kept.back().range);
    }
    if (kept.empty()) continue;
    sum += std::max(divergence_.measure().kl.mean(), 0.0);
    for (const Kept& k : kept) rounder_.store(k.values, *k.tensor, k.range);
  }
  return sum * double(all_) / double(blocks_.size());
}

}  // namespace nib::model
