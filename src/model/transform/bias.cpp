// Bias correction (arXiv 1906.04721): rounding a weight moves the mean of the layer's outputs, which its bias takes
// back. Only biases that are there change; of the other layers the report says what one would gain.
#include "model/archive/error.h"
#include "model/transform/layer_trial.h"
#include "model/transform/transform.h"
#include "model/transform/walk_options.h"

namespace nib::model {
namespace {

class BiasVisitor : public BlockVisitor {
 public:
  BiasVisitor(const TransformInput& input, TransformReport& report)
      : input_(input), report_(report), decoder_(input.device, input.view) {}

  bool wants(const std::string& module) const override { return input_.weight(module).has_value(); }

  uint64_t workBytes(const LayerGroup& group, uint32_t cols) const override {
    return LayerTrial::deviceBytes(input_.weight(group.modules.front())->rows, cols);
  }

  void visit(const LayerGroup& layers, const GroupInputs& inputs, ModelWeights&) override {
    const std::vector<double> means = inputs.columns.means();
    const std::vector<float> mean(means.begin(), means.end());
    for (const std::string& module : layers.modules) {
      const WeightSpec spec = *input_.weight(module);
      LayerTrial trial(input_.device, decoder_, *input_.view.find(module + ".weight"), spec, 1);
      trial.quantize(std::vector<float>(spec.cols, 1.0f));
      const std::vector<float> with = trial.product(mean), without = trial.plainProduct(mean);
      std::vector<double> correction(spec.rows);
      double gain = 0;
      for (uint32_t r = 0; r < spec.rows; ++r) {
        correction[r] = double(without[r]) - double(with[r]);
        gain += correction[r] * correction[r];
      }
      const double loss = trial.loss(inputs.hessian);
      const bool has_bias = input_.view.find(module + ".bias") != nullptr;
      if (has_bias) edits_.add(module + ".bias", addToColumns(std::move(correction)));
      report_.steps.push_back(
          {layers.layer, module, {module}, has_bias ? "corrected" : "has no bias", {}, loss, loss - gain});
    }
  }

  Edits edits() { return std::move(edits_); }

 private:
  const TransformInput& input_;
  TransformReport& report_;
  Decoder decoder_;
  Edits edits_;
};

std::string refuses(const std::string& setting) { return setting.empty() ? "" : "bias takes no setting"; }

Edits make(const TransformInput& input, const std::string&, TransformReport& report) {
  BiasVisitor visitor(input, report);
  const WalkOptions walk = walkOptions(input, "bias correction");
  walkBlocks(input.device, input.view, input.config, input.sequences, walk, visitor);
  return visitor.edits();
}

}  // namespace

const TransformKind kBiasTransform = {"bias", "corrects biases by the mean error of rounding", true, false, refuses,
                                      make};

}  // namespace nib::model
