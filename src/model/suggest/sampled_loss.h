// The loss of a model at a type, from measurements of some of its blocks.
#ifndef NIB_MODEL_SUGGEST_SAMPLED_LOSS_H
#define NIB_MODEL_SUGGEST_SAMPLED_LOSS_H

#include "model/mixed/divergence.h"
#include "model/mixed/rounder.h"
#include "model/suggest/footprint.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

class SampledLoss {
 public:
  // blocks: at most; they are spread over the network. view and config: must outlive this. Throws; also if the model is
  // quantized.
  SampledLoss(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
              std::span<const std::vector<uint32_t>> sequences, uint32_t blocks);
  // The mean of the mean KL divergences of the blocks, each quantized alone, times the number of all. Throws.
  double measure(const LayerWeights& weights);

  uint32_t blocks() const { return uint32_t(blocks_.size()); }

 private:
  const ModelView& view_;
  Rounder rounder_;
  Divergence divergence_;
  std::vector<std::vector<std::string>> blocks_;  // modules
  uint32_t all_ = 0;
};

}  // namespace nib::model
#endif
