// Tries factors for the columns of one weight W: quantizes W diag(s), and measures what W diag(s) diag(1/s) has lost.
#ifndef NIB_MODEL_TRANSFORM_LAYER_TRIAL_H
#define NIB_MODEL_TRANSFORM_LAYER_TRIAL_H

#include "model/archive/container.h"
#include "model/blocks/hessian_sum.h"
#include "model/decode.h"
#include "model/timed_device.h"

#include <nibble/kit.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace nib::model {

class LayerTrial {
 public:
  // tensor: the weight, which is read once. samples: the most rows of product(). Throws.
  LayerTrial(const TimedDevice& device, Decoder& decoder, const ModelView::Tensor& tensor, const WeightSpec& spec,
             uint32_t samples = 0);

  // The weight's values. Throws.
  std::vector<float> weight() const;
  // Quantizes with these factors, which are not 0. The results below are of the last call. Throws.
  void quantize(std::span<const float> factors);
  // Mean squared error of the layer's output, summed over its channels: tr(E H E^T) / tokens, with
  // E = Q(W diag(s)) diag(1/s) - W. Throws.
  double loss(const HessianSum& hessian);
  // inputs [n, cols] times Q(W diag(s)), or times W: [n, rows]. Call it before loss(). Throws.
  std::vector<float> product(std::span<const float> inputs);
  std::vector<float> plainProduct(std::span<const float> inputs);
  // Writes Q(W diag(s)) diag(1/s), or W, as fp32. Call the first before loss(). Throws.
  void writeTried(const kit::Range& to);
  void writePlain(const kit::Range& to);
  // Device memory in bytes.
  static uint64_t deviceBytes(uint64_t rows, uint64_t cols) { return 4 * (4 * rows * cols + cols * cols); }

 private:
  // A run that is made once.
  struct Step {
    template <class Desc>
    Step(const kit::Device& device, const Desc& desc) : plan(device, desc) {}
    kit::Plan plan;
    std::optional<kit::Binding> binding = {};
    kit::Buffer scratch = {};
  };
  kit::Range range(uint64_t offset_bytes, uint64_t size_bytes) const { return {operands_, offset_bytes, size_bytes}; }
  uint64_t matrixBytes() const { return uint64_t(spec_.rows) * spec_.cols * 4; }
  void makeElementwise(std::optional<Step>& step, NibElementwiseKind kind, NibType type, uint64_t source,
                       uint64_t second, uint64_t result);
  void makeMoments(std::optional<Step>& step, NibGranularity granularity, uint64_t source, kit::Buffer& tiles);
  void makeQuantization();
  void makeLoss(const HessianSum& hessian);
  void run(const std::optional<Step>& step) const { device_.run(*step->binding, spec_.rows); }
  std::vector<NibMomentTile> tilesOf(const std::optional<Step>& step, const kit::Buffer& tiles) const;
  // to = source * factor.
  void write(uint64_t source, NibType type, float factor, const kit::Range& to);
  std::vector<float> multiply(std::span<const float> inputs, uint64_t weights, NibType type);

  TimedDevice device_;
  WeightSpec spec_;
  NibType type_;
  uint32_t samples_;
  // In operands_: factors, their inverses with a minus, W, E (at first the scaled weight), and what is made of it.
  // None is at 0, which as a part's offset means "as planned".
  uint64_t factors_ = 256, inverses_ = 0, source_ = 0, values_ = 0, result_ = 0;
  kit::Buffer operands_, blob_, sums_, columns_;
  std::vector<float> inverse_;
  std::optional<Step> scale_, search_, quantize_, dequantize_, unscale_, add_, triangle_, both_, sum_, column_;
  const HessianSum* hessian_ = nullptr;  // that triangle_ reads
};

}  // namespace nib::model
#endif
