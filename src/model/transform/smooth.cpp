// SmoothQuant (arXiv 2211.10438): moves the range of input columns into the weights, so that activations quantize well.
#include <nibble/formats.h>

#include "model/archive/error.h"
#include "model/transform/activation_rounding.h"
#include "model/transform/layer_trial.h"
#include "model/transform/scaling.h"
#include "model/transform/transform.h"
#include "model/transform/walk_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <deque>

namespace nib::model {
namespace {

constexpr double kUsualAlpha = 0.5;
constexpr uint32_t kAlphas = 11;    // 0, 0.1, ... 1
constexpr uint32_t kSamples = 256;  // rows of inputs on which alphas are compared

std::optional<double> alphaOf(const std::string& setting) {
  if (setting.empty()) return kUsualAlpha;
  double alpha = 0;
  const auto [end, error] = std::from_chars(setting.data(), setting.data() + setting.size(), alpha);
  const bool good = error == std::errc() && end == setting.data() + setting.size() && alpha >= 0 && alpha <= 1;
  return good ? std::optional(alpha) : std::nullopt;
}

// Weights of a layer that stays dense are measured as int8 with a scale per row.
WeightSpec usualSpec(const std::string& module, const ModelView::Tensor& tensor) {
  WeightSpec spec;
  spec.name = module + ".weight";
  spec.rows = uint32_t(tensor.shape[0]);
  spec.cols = uint32_t(tensor.shape[1]);
  spec.weights.format = NIB_FORMAT_INT8;
  spec.weights.granularity = NIB_GRANULARITY_ROW;
  spec.weights.scale_type = NIB_TYPE_F32;
  return spec;
}

class SmoothVisitor : public BlockVisitor {
 public:
  SmoothVisitor(const TransformInput& input, std::optional<double> alpha, TransformReport& report)
      : input_(input), alpha_(alpha), report_(report), decoder_(input.device, input.view) {}

  bool wants(const std::string& module) const override { return input_.view.find(module + ".weight") != nullptr; }

  uint64_t workBytes(const LayerGroup& group, uint32_t cols) const override {
    uint64_t bytes = 0;
    for (const std::string& module : group.modules) {
      bytes += alpha_ ? 0 : LayerTrial::deviceBytes(specOf(module).rows, cols);
    }
    return bytes;
  }

  void visit(const LayerGroup& layers, const GroupInputs& inputs, ModelWeights&) override {
    const std::optional<ScaleGroup> group = findScaleGroup(input_.config, layers.layer, layers.modules);
    if (!group || inputs.columns.tokens() == 0) return;
    const size_t cols = inputs.columns.absMax().size();
    std::vector<double> w_most(cols, 1e-5);
    for (const std::string& module : layers.modules) {
      const std::vector<float> weight = readValues(input_.view, module + ".weight");
      for (size_t i = 0; i < weight.size(); ++i) {
        double& extent = w_most[i % cols];
        extent = std::max(extent, std::fabs(double(weight[i])));
      }
    }
    w_most = maxOverShared(*group, w_most);
    const auto factorsOf = [&](double alpha, const std::vector<float>& absmax) {
      const std::vector<double> x_most = maxOverShared(*group, {absmax.begin(), absmax.end()});
      std::vector<double> factors(cols);
      for (size_t c = 0; c < factors.size(); ++c) {
        const double factor = std::pow(x_most[c], alpha) / std::pow(w_most[c], 1 - alpha);
        factors[c] = std::isfinite(factor) ? std::max(factor, 1e-5) : 1.0;
      }
      return storable(input_.view, *group, std::move(factors));
    };
    TransformStep step{layers.layer, group->before, layers.modules, "alpha", alpha_, {}, {}};
    // Ranges that come from other rows than the errors: a range that just holds the calibration set is too small.
    if (!alpha_) {
      search(
          layers, inputs.columns, [&](double alpha) { return factorsOf(alpha, inputs.columns.absMaxOfOthers()); },
          step);
    }
    if (step.value) addScaling(input_.view, *group, factorsOf(*step.value, inputs.columns.absMax()), edits_);
    report_.steps.push_back(std::move(step));
  }

  Edits edits() { return std::move(edits_); }

 private:
  WeightSpec specOf(const std::string& module) const {
    const std::optional<WeightSpec> spec = input_.weight(module);
    return spec ? *spec : usualSpec(module, *input_.view.find(module + ".weight"));
  }

  // The alpha of the least error of the layers' outputs, with weights and activations quantized.
  void search(const LayerGroup& layers, const ColumnStats& columns,
              const std::function<std::vector<double>(double)>& factorsOf, TransformStep& step) {
    const std::vector<float>& sample = columns.sample();
    const uint32_t cols = uint32_t(columns.absMax().size());
    const Activations scheme = input_.activations == Activations::kNone ? Activations::kInt8Token : input_.activations;
    std::deque<LayerTrial> trials;
    std::vector<std::vector<float>> plain;
    for (const std::string& module : layers.modules) {
      const ModelView::Tensor& tensor = *input_.view.find(module + ".weight");
      trials.emplace_back(input_.device, decoder_, tensor, specOf(module), kSamples);
      plain.push_back(trials.back().plainProduct(sample));
    }
    const auto lossOf = [&](const std::vector<double>& factors) {
      const std::vector<float> rounded(factors.begin(), factors.end());
      std::vector<float> inputs(sample);
      float absmax = 0;
      for (size_t i = 0; i < inputs.size(); ++i) inputs[i] /= rounded[i % cols];
      for (uint32_t c = 0; c < cols; ++c) absmax = std::max(absmax, columns.absMaxOfOthers()[c] / rounded[c]);
      roundActivations(scheme, inputs, cols, absmax);
      double loss = 0;
      for (size_t m = 0; m < trials.size(); ++m) {
        trials[m].quantize(rounded);
        const std::vector<float> outputs = trials[m].product(inputs);
        for (size_t i = 0; i < outputs.size(); ++i) {
          const double error = double(outputs[i]) - double(plain[m][i]);
          loss += error * error;
        }
      }
      return loss / double(std::max<size_t>(sample.size() / cols, 1));
    };
    step.plain_loss = step.loss = lossOf(std::vector<double>(cols, 1.0));
    step.setting = "none";
    for (uint32_t i = 0; i < kAlphas; ++i) {
      const double alpha = double(i) / (kAlphas - 1);
      const double loss = lossOf(factorsOf(alpha));
      if (!(loss < *step.loss)) continue;
      step.loss = loss;
      step.setting = "alpha";
      step.value = alpha;
    }
  }

  const TransformInput& input_;
  std::optional<double> alpha_;  // none = searched
  TransformReport& report_;
  Decoder decoder_;
  Edits edits_;
};

std::string refuses(const std::string& setting) {
  return setting == "auto" || alphaOf(setting) ? "" : "expected smooth, smooth:ALPHA from 0 to 1, or smooth:auto";
}

Edits make(const TransformInput& input, const std::string& setting, TransformReport& report) {
  SmoothVisitor visitor(input, setting == "auto" ? std::nullopt : alphaOf(setting), report);
  WalkOptions walk = walkOptions(input, "SmoothQuant");
  walk.hessian = false;
  walk.samples = setting == "auto" ? kSamples : 0;
  walkBlocks(input.device, input.view, input.config, input.sequences, walk, visitor);
  return visitor.edits();
}

}  // namespace

const TransformKind kSmoothTransform = {
    "smooth", "moves the range of activations into the weights", true, false, refuses, make};

}  // namespace nib::model
