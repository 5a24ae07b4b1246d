#include "model/quantize/gptq/speed.h"

#include "model/quantize/gptq/layer.h"

#include <nibble/formats.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <span>
#include <vector>

namespace nib::model {
namespace {

// Numbers from -1 to 1.
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : state_(seed) {}
  float next() {
    state_ = state_ * 1664525u + 1013904223u;
    return float(int32_t(state_)) * 0x1p-31f;
  }

 private:
  uint32_t state_;
};

kit::Buffer numbers(const kit::Device& device, size_t count, uint32_t seed) {
  Numbers from(seed);
  std::vector<float> values(count);
  for (float& value : values) value = from.next();
  kit::Buffer buffer(device, count * sizeof(float));
  device.upload(buffer, std::span<const float>(values));
  return buffer;
}

double productRate(const TimedDevice& device, const GptqSpeedOptions& o) {
  constexpr uint32_t kTokens = 512;
  NibMatmulDesc desc{NIB_OP_MATMUL, sizeof(NibMatmulDesc)};
  desc.rows = o.rows;
  desc.cols = o.cols;
  desc.flags = NIB_PRODUCT_ONE_KERNEL;
  desc.tokens = kTokens;
  desc.weights.format = NIB_FORMAT_DENSE;
  desc.weights.scale_type = NIB_TYPE_F32;
  const kit::Plan plan(device.untimed(), desc);
  const kit::Buffer weights = numbers(device.untimed(), size_t(plan.sizeBytes(NIB_ROLE_WEIGHTS) / 4), 5);
  const kit::Buffer input = numbers(device.untimed(), size_t(plan.sizeBytes(NIB_ROLE_INPUT) / 4), 6);
  const kit::Buffer output(device.untimed(), plan.sizeBytes(NIB_ROLE_OUTPUT));
  const kit::Buffer aux(device.untimed(), std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
  const kit::Binding binding(plan, {.weights = weights, .input = input, .output = output, .aux = aux});
  double best = 0;
  for (uint32_t i = 0; i < o.repeats + 1; ++i) {
    const auto start = std::chrono::steady_clock::now();
    device.run(binding, kTokens);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, 2.0 * o.rows * o.cols * kTokens / seconds);
  }
  return best;
}

}  // namespace

GptqSpeed measureGptq(const kit::Device& device, const GptqSpeedOptions& o) {
  const TimedDevice timed(device);
  GptqSpeed speed;
  speed.product_flops_per_second = productRate(timed, o);
  const kit::Buffer inputs = numbers(device, size_t(o.tokens) * o.cols, 1);
  const kit::Buffer weights = numbers(device, size_t(o.rows) * o.cols, 2);
  WeightSpec weight;
  weight.name = "layer.weight";
  weight.rows = o.rows;
  weight.cols = o.cols;
  weight.weights.format = NIB_FORMAT_INT4;
  weight.weights.granularity = NIB_GRANULARITY_GROUP;
  weight.weights.group_size = o.group;
  weight.weights.scale_type = NIB_TYPE_F16;
  const std::vector<float> values = device.download<float>(weights, size_t(o.rows) * o.cols);
  for (uint32_t i = 0; i < o.repeats; ++i) {
    BlockTimes times;
    GptqOptions options;
    options.times = &times;
    HessianSum hessian(device, o.tokens, o.cols, NIB_TYPE_F32, o.cols, inputs);
    {
      const BlockTimes::Scope scope(&times, BlockPhase::kHessian);
      timed.run(hessian.binding(), o.tokens);
    }
    hessian.count(o.tokens);
    GptqSolver solver(timed, options, hessian, o.rows);
    const kit::Range source = solver.source(o.rows, NIB_TYPE_F32);
    device.upload(*source.buffer, std::span<const float>(values), source.offset_bytes);
    GptqLayerReport report;
    solver.solve(weight, NIB_TYPE_F32, {}, report);
    for (size_t p = 0; p < kBlockPhases; ++p) {
      const double seconds = times.seconds(BlockPhase(p));
      speed.seconds[p] = i == 0 ? seconds : std::min(speed.seconds[p], seconds);
    }
  }
  const double k = o.cols, cubic = k * k * k / 3, update = double(o.rows) * k * k;
  speed.flops[size_t(BlockPhase::kHessian)] = double(o.tokens) * k * k;
  speed.flops[size_t(BlockPhase::kCholesky)] = cubic;
  speed.flops[size_t(BlockPhase::kInvert)] = cubic;
  speed.flops[size_t(BlockPhase::kColumns)] = update;
  speed.flops[size_t(BlockPhase::kMeasure)] = update;
  return speed;
}

}  // namespace nib::model
