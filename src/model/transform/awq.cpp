// Activation-aware weight quantization (arXiv 2306.00978): columns whose inputs are large get finer steps. Factors come
// from a grid of ratios between the inputs' and the weights' magnitudes, by the error of the layers' outputs.
#include "model/transform/layer_trial.h"
#include "model/transform/scaling.h"
#include "model/transform/transform.h"
#include "model/transform/walk_options.h"

#include <algorithm>
#include <cmath>
#include <deque>

namespace nib::model {
namespace {

constexpr uint32_t kRatios = 20;

// By column, the mean of |w| over the rows, each divided by the largest magnitude of its group.
std::vector<double> meanOfGroups(const std::vector<float>& weight, const WeightSpec& spec, uint64_t group) {
  std::vector<double> sums(spec.cols);
  for (uint64_t r = 0; r < spec.rows; ++r) {
    const float* const row = weight.data() + r * spec.cols;
    for (uint64_t begin = 0; begin < spec.cols; begin += group) {
      const uint64_t end = std::min<uint64_t>(begin + group, spec.cols);
      double most = 0;
      for (uint64_t c = begin; c < end; ++c) most = std::max(most, std::fabs(double(row[c])));
      for (uint64_t c = begin; c < end; ++c) sums[c] += std::fabs(double(row[c])) / (most + 1e-6);
    }
  }
  return sums;
}

// Factors around 1.
std::vector<double> normalized(std::vector<double> factors) {
  const auto [least, most] = std::minmax_element(factors.begin(), factors.end());
  const double middle = std::sqrt(*least * *most);
  for (double& factor : factors) {
    factor /= middle;
    if (!std::isfinite(factor) || factor <= 0) factor = 1;
  }
  return factors;
}

class AwqVisitor : public BlockVisitor {
 public:
  AwqVisitor(const TransformInput& input, const std::string& setting, TransformReport& report)
      : input_(input), setting_(setting), report_(report), decoder_(input.device, input.view) {}

  bool wants(const std::string& module) const override { return input_.weight(module).has_value(); }

  uint64_t workBytes(const LayerGroup& group, uint32_t cols) const override {
    uint64_t bytes = 0;
    for (const std::string& module : group.modules) {
      bytes += LayerTrial::deviceBytes(input_.weight(module)->rows, cols);
    }
    return bytes;
  }

  void visit(const LayerGroup& layers, const GroupInputs& inputs, ModelWeights& weights) override {
    const std::optional<ScaleGroup> group = findScaleGroup(input_.config, layers.layer, layers.modules);
    if (!group || inputs.columns.tokens() == 0) return;
    std::deque<LayerTrial> trials;
    std::vector<double> w_mean(inputs.hessian.cols());
    uint64_t rows = 0;
    for (const std::string& module : layers.modules) {
      const WeightSpec spec = *input_.weight(module);
      trials.emplace_back(input_.device, decoder_, *input_.view.find(module + ".weight"), spec);
      const bool grouped = spec.weights.granularity == NIB_GRANULARITY_GROUP && spec.weights.group_size != 0;
      const std::vector<double> sums =
          meanOfGroups(trials.back().weight(), spec, grouped ? spec.weights.group_size : spec.cols);
      for (size_t c = 0; c < sums.size(); ++c) w_mean[c] += sums[c];
      rows += spec.rows;
    }
    for (double& mean : w_mean) mean /= double(rows);
    w_mean = meanOverShared(*group, w_mean);
    const std::vector<double> x_mean = meanOverShared(*group, inputs.columns.absMeans());

    // The layer at the end of the module whose output is compared.
    std::string last = layers.modules.front();
    for (const std::string& writer : hiddenWriters(input_.config, layers.layer)) {
      if (writer.substr(0, writer.rfind('.')) == last.substr(0, last.rfind('.'))) last = writer;
    }
    const std::vector<float> plain = input_.awq_modules ? inputs.outputOf(last) : std::vector<float>();
    const auto rangeOf = [&](size_t m) {
      const WeightSpec spec = *input_.weight(layers.modules[m]);
      kit::Range range = weights.range(layers.modules[m]);
      range.size_bytes = uint64_t(spec.rows) * spec.cols * sizeof(float);
      return range;
    };
    const auto moduleLoss = [&]() {
      for (size_t m = 0; m < trials.size(); ++m) trials[m].writeTried(rangeOf(m));
      const std::vector<float> outputs = inputs.outputOf(last);
      for (size_t m = 0; m < trials.size(); ++m) trials[m].writePlain(rangeOf(m));
      double loss = 0;
      for (size_t i = 0; i < plain.size(); ++i) {
        const double error = double(outputs[i]) - double(plain[i]);
        loss += error * error;
      }
      return loss / (double(plain.size()) / input_.config.hidden);
    };
    const auto lossOf = [&](const std::vector<double>& factors) {
      const std::vector<float> rounded(factors.begin(), factors.end());
      double loss = 0;
      for (LayerTrial& trial : trials) {
        trial.quantize(rounded);
        if (!input_.awq_modules) loss += trial.loss(inputs.hessian);
      }
      return input_.awq_modules ? moduleLoss() : loss;
    };
    TransformStep step{layers.layer, group->before, layers.modules, "none", 0.0, {}, {}};
    std::vector<double> best(x_mean.size(), 1.0);
    step.plain_loss = step.loss = lossOf(best);
    for (const bool duo : {false, true}) {
      if (setting_ == (duo ? "plain" : "duo")) continue;
      for (uint32_t i = duo ? 0 : 1; i < kRatios; ++i) {
        const double ratio = double(i) / kRatios;
        std::vector<double> factors(x_mean.size());
        for (size_t c = 0; c < factors.size(); ++c) {
          const double by_weight = duo ? std::pow(w_mean[c], 1 - ratio) + 1e-4 : 1.0;
          factors[c] = std::max(std::pow(x_mean[c], ratio) / by_weight, 1e-4);
        }
        factors = storable(input_.view, *group, normalized(std::move(factors)));
        const double loss = lossOf(factors);
        if (!(loss < *step.loss)) continue;
        step.loss = loss;
        step.value = ratio;
        step.setting = duo ? "duo" : "plain";
        best = std::move(factors);
      }
    }
    if (step.setting != "none") addScaling(input_.view, *group, best, edits_);
    report_.steps.push_back(std::move(step));
  }

  Edits edits() { return std::move(edits_); }

 private:
  const TransformInput& input_;
  std::string setting_;
  TransformReport& report_;
  Decoder decoder_;
  Edits edits_;
};

std::string refuses(const std::string& setting) {
  return setting.empty() || setting == "duo" || setting == "plain" ? "" : "expected awq, awq:duo or awq:plain";
}

Edits make(const TransformInput& input, const std::string& setting, TransformReport& report) {
  AwqVisitor visitor(input, setting, report);
  const WalkOptions walk = walkOptions(input, "AWQ");
  walkBlocks(input.device, input.view, input.config, input.sequences, walk, visitor);
  return visitor.edits();
}

}  // namespace

const TransformKind kAwqTransform = {
    "awq", "scales columns by a ratio of inputs and weights that is searched", true, false, refuses, make};

}  // namespace nib::model
