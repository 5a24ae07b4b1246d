#include "model/mixed/mixed.h"

#include "model/archive/error.h"
#include "model/blocks/walk.h"
#include "model/mixed/divergence.h"
#include "model/mixed/knapsack.h"
#include "model/mixed/rounder.h"
#include "model/mixed/weighted_error.h"
#include "model/run/network_view.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

namespace nib::model {
namespace {

using Source = MixedReport::Source;

std::string numberText(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

class Chooser {
 public:
  Chooser(const TimedDevice& device, const ModelView& view, const MixedOptions& options, const MixedLayers& layers,
          MeasuredCosts& costs)
      : device_(device),
        view_(view),
        options_(options),
        layers_(layers.layers),
        other_bytes_(layers.other_bytes),
        config_(networkConfig(view.checkpoint())),
        units_(unitsOf(config_, layers_, options.separate)),
        rounder_(device, view),
        costs_(costs) {
    refuseTransposed(config_, "--budget and --size");
    refuseExperts(config_, "--budget and --size",
                  "what each of them loses is not measured yet: choose types by --rule");
    refuseEncoder(config_, "--budget and --size", "and these measure predictions of what follows");
    measured_ = options.measured_sequences == 0 ? options.sequences.size()
                                                : std::min(options.measured_sequences, options.sequences.size());
    for (size_t i = 0; i < measured_; ++i) measured_tokens_ += options.sequences[i].size();
    describe();
    setBudget();
  }

  MixedReport choose(uint64_t memory_bytes, ChosenTypes& chosen) {
    costs_.begin();
    planWork();
    if (!hessians_.empty()) weigh(memory_bytes);
    measure();
    solve(chosen);
    return std::move(report_);
  }

 private:
  void describe() {
    for (const LayerUnit& members : units_) {
      MixedReport::Unit& unit = report_.units.emplace_back();
      unit.fixed = layers_[members.front()].fixed;
      for (const size_t i : members) {
        unit.modules.push_back(layers_[i].module());
        unit.elements += layers_[i].elements;
      }
      for (size_t o = 0; o < layers_[members.front()].types.size(); ++o) {
        MixedReport::Option& option = unit.options.emplace_back();
        std::set<std::string> types;
        bool dense = true;
        for (const size_t i : members) {
          const MixedLayer::AtType& at = layers_[i].types[o];
          option.bytes += at.bytes;
          dense = dense && !at.weight;
          if (types.insert(at.type).second) option.type += (option.type.empty() ? "" : "+") + at.type;
        }
        option.bits = 8.0 * double(option.bytes) / double(unit.elements);
        option.source = dense ? Source::kDense : Source::kUnknown;
      }
      report_.elements += unit.elements;
    }
  }

  // Throws if even the smallest types exceed the budget, and if no layer needs to be quantized.
  void setBudget() {
    uint64_t least = 0, dense = 0;
    bool all_dense = true;
    for (const MixedReport::Unit& unit : report_.units) {
      uint64_t smallest = UINT64_MAX;
      bool stays = false;
      for (const MixedReport::Option& option : unit.options) {
        smallest = std::min(smallest, option.bytes);
        if (option.source != Source::kDense) continue;
        stays = true;
        dense += option.bytes;
      }
      least += smallest;
      all_dense = all_dense && stays;
    }
    findBudget(least);
    if (all_dense && dense <= report_.budget_bytes) {
      throw Error(std::string(options_.size_bytes ? "--size" : "--budget") +
                  ": all layers fit as they are, so there is nothing to quantize: allow less");
    }
  }

  void findBudget(uint64_t least) {
    if (options_.size_bytes) {
      if (*options_.size_bytes < other_bytes_ + least) {
        throw Error("--size " + std::to_string(*options_.size_bytes) + ": the smallest of --types take " +
                    std::to_string(least) + " bytes, and other tensors " + std::to_string(other_bytes_) +
                    ": allow more, or name a smaller type");
      }
      report_.budget_bytes = *options_.size_bytes - other_bytes_;
      return;
    }
    const double bytes = std::floor(options_.bits * double(report_.elements) / 8 + 1e-6);
    if (bytes < double(least)) {
      throw Error("--budget " + numberText("%g", options_.bits) + ": the smallest of --types take " +
                  numberText("%.3f", 8.0 * double(least) / double(report_.elements)) +
                  " bits per weight: allow more, or name a smaller type");
    }
    report_.budget_bytes = uint64_t(bytes);
  }

  std::string keyOf(size_t unit, size_t option) const {
    std::string key;
    for (const std::string& module : report_.units[unit].modules) key += (key.empty() ? "" : " ") + module;
    return key + " " + typeKey(unit, option);
  }
  // Types of one name may differ in more than that.
  std::string typeKey(size_t unit, size_t option) const {
    return report_.units[unit].options[option].type + " #" + std::to_string(option);
  }

  // The options that are quantized, in ascending order of bytes.
  std::vector<size_t> quantizedOptions(size_t unit) const {
    const std::vector<MixedReport::Option>& options = report_.units[unit].options;
    std::vector<size_t> found;
    for (size_t o = 0; o < options.size(); ++o) {
      if (options[o].source != Source::kDense) found.push_back(o);
    }
    std::stable_sort(found.begin(), found.end(),
                     [&](size_t a, size_t b) { return options[a].bytes < options[b].bytes; });
    return found;
  }

  // Which units need the Hessian of their inputs, and how many tokens will be run.
  void planWork() {
    std::set<std::string> walked;
    for (uint32_t layer = 0; layer < config_.layers; ++layer) {
      for (const std::vector<std::string>& modules : linearLayers(config_, layer)) {
        walked.insert(modules.begin(), modules.end());
      }
    }
    bool all_known = true;
    for (size_t u = 0; u < units_.size(); ++u) {
      const MixedReport::Unit& unit = report_.units[u];
      const std::vector<size_t> quantized = quantizedOptions(u);
      if (unit.fixed || quantized.empty()) continue;
      changes_head_ = changes_head_ || !walked.contains(unit.modules.front());
      const bool estimates = !options_.measure_all && quantized.size() > 1 && walked.contains(unit.modules.front());
      work_tokens_ += measured_tokens_ * (estimates ? 1 : quantized.size());
      if (!estimates) continue;
      for (size_t m = 0; m < unit.modules.size(); ++m) {
        hessians_[unit.modules[m]] = {u, units_[u][m]};
        for (const size_t o : quantized) {
          const std::optional<double> known = costs_.weightedError(errorKey(unit.modules[m], u, o));
          all_known = all_known && known;
        }
      }
    }
    work_tokens_ += measured_tokens_;
    if (all_known) {
      estimable_ = hessians_;
      hessians_.clear();
    }
    if (hessians_.empty()) return;
    uint64_t tokens = 0;
    for (const std::vector<uint32_t>& sequence : options_.sequences) tokens += sequence.size();
    work_tokens_ += tokens * config_.layers;
  }

  std::string errorKey(const std::string& module, size_t unit, size_t option) const {
    return module + " " + typeKey(unit, option);
  }

  const ModelView::Tensor& tensorOf(size_t layer) const { return *view_.find(layers_[layer].name); }

  // The errors of all types, weighed by the Hessians of their layers' inputs.
  class Weighing : public BlockVisitor {
   public:
    explicit Weighing(Chooser& chooser) : chooser_(chooser) {}
    bool wants(const std::string& module) const override { return chooser_.hessians_.contains(module); }
    uint64_t workBytes(const LayerGroup& group, uint32_t cols) const override {
      uint64_t rows = 0;
      for (const std::string& module : group.modules) {
        const MixedLayer& layer = chooser_.layers_[chooser_.hessians_.at(module).layer];
        rows = std::max(rows, layer.elements / cols);
      }
      return sizeof(float) * (2 * rows * cols + uint64_t(cols) * cols);
    }
    void visit(const LayerGroup& group, const GroupInputs& inputs, ModelWeights&) override {
      chooser_.weighGroup(group.modules, inputs.hessian);
    }

   private:
    Chooser& chooser_;
  };

  void weighGroup(const std::vector<std::string>& modules, const HessianSum& hessian) {
    std::map<std::string, double> errors;
    for (const std::string& module : modules) {
      const Weighed& place = hessians_.at(module);
      const MixedLayer& layer = layers_[place.layer];
      const std::vector<float> values = rounder_.values(tensorOf(place.layer));
      for (const size_t o : quantizedOptions(place.unit)) {
        const std::string key = errorKey(module, place.unit, o);
        errors[key] = 0;
        if (!layer.types[o].weight) continue;
        std::vector<float> difference = rounder_.rounded(*layer.types[o].weight, values);
        for (size_t i = 0; i < difference.size(); ++i) difference[i] -= values[i];
        errors[key] = weightedError(device_, hessian, difference, layer.types[o].weight->rows);
        if (!std::isfinite(errors[key])) throw Error(module + ": its inputs or weights are not all finite");
      }
    }
    costs_.addWeightedErrors(errors);
  }

  void weigh(uint64_t memory_bytes) {
    estimable_ = hessians_;
    WalkOptions walk;
    walk.memory_bytes = memory_bytes;
    walk.folder = costs_.folder();
    walk.together = true;
    walk.changes_weights = false;
    walk.purpose = "--budget";
    uint64_t before = 0;
    walk.progress = [&](uint64_t done, uint64_t) {
      advance(done - before);
      before = done;
    };
    Weighing visitor(*this);
    walkBlocks(device_, view_, config_, options_.sequences, walk, visitor);
  }

  void advance(uint64_t tokens) {
    done_tokens_ += tokens;
    if (options_.progress) options_.progress(std::min(done_tokens_, work_tokens_), work_tokens_);
  }

  void measure() {
    std::optional<Divergence> divergence;
    for (size_t u = 0; u < units_.size(); ++u) {
      const std::vector<size_t> quantized = quantizedOptions(u);
      if (report_.units[u].fixed || quantized.empty()) continue;
      const size_t middle = quantized[quantized.size() / 2];
      const bool estimates = estimable_.contains(report_.units[u].modules.front()) && errorOf(u, middle) > 0;
      for (const size_t o : quantized) {
        if (!estimates || o == middle) measureOne(u, o, divergence);
      }
      if (!estimates) continue;
      for (const size_t o : quantized) {
        if (o != middle) estimate(u, o, middle);
      }
    }
    report_.tokens = measured_tokens_;
    // This covers figures of an earlier run, which the estimates did not need again.
    if (done_tokens_ < work_tokens_) advance(work_tokens_ - done_tokens_);
  }

  double errorOf(size_t unit, size_t option) const {
    double sum = 0;
    for (const std::string& module : report_.units[unit].modules) {
      sum += costs_.weightedError(errorKey(module, unit, option)).value_or(0);
    }
    return sum;
  }

  void estimate(size_t unit, size_t option, size_t measured) {
    MixedReport::Option& to = report_.units[unit].options[option];
    const MixedReport::Option& from = report_.units[unit].options[measured];
    // The divergence grows with the square of a small change of the weights, as these errors do.
    to.divergence = from.divergence * (errorOf(unit, option) / errorOf(unit, measured));
    to.source = Source::kEstimated;
  }

  void measureOne(size_t unit, size_t option, std::optional<Divergence>& divergence) {
    MixedReport::Option& to = report_.units[unit].options[option];
    const std::string key = keyOf(unit, option);
    std::optional<MeasuredCosts::Divergence> known = costs_.divergence(key);
    if (!known) {
      if (!divergence) {
        divergence.emplace(device_, view_, config_, std::span(options_.sequences).first(measured_), changes_head_);
        advance(measured_tokens_);
      }
      known = measured(unit, option, *divergence);
      costs_.addDivergence(key, *known);
      advance(measured_tokens_);
    }
    to.divergence = known->mean;
    to.error = known->error;
    to.source = Source::kMeasured;
  }

  MeasuredCosts::Divergence measured(size_t unit, size_t option, Divergence& divergence) {
    struct Kept {
      size_t layer;
      std::vector<float> values;
    };
    std::vector<Kept> kept;
    const auto store = [&](size_t layer, std::span<const float> values) {
      rounder_.store(values, tensorOf(layer), divergence.weights(layers_[layer].module()));
    };
    for (const size_t layer : units_[unit]) {
      const std::optional<WeightSpec>& weight = layers_[layer].types[option].weight;
      if (!weight) continue;
      kept.push_back({layer, rounder_.values(tensorOf(layer))});
      store(layer, rounder_.rounded(*weight, kept.back().values));
    }
    const Mean mean = divergence.measure().kl;
    for (const Kept& k : kept) store(k.layer, k.values);
    return {std::max(mean.mean(), 0.0), mean.error()};
  }

  void solve(ChosenTypes& chosen) {
    std::vector<std::vector<Priced>> items;
    for (const MixedReport::Unit& unit : report_.units) {
      std::vector<Priced>& options = items.emplace_back();
      for (const MixedReport::Option& option : unit.options) options.push_back({option.bytes, option.divergence});
      makeMonotone(options);
    }
    const std::optional<Chosen> best = chooseOptions(items, report_.budget_bytes);
    if (!best) throw Error("no choice of types fits the budget");
    report_.bytes = best->bytes;
    report_.unit_bytes = best->unit_bytes;
    report_.exact = best->exact;
    for (size_t u = 0; u < units_.size(); ++u) {
      MixedReport::Unit& unit = report_.units[u];
      unit.chosen = best->options[u];
      if (unit.fixed) continue;
      report_.divergence += unit.options[unit.chosen].divergence;
      for (const size_t layer : units_[u]) chosen[layers_[layer].name] = options_.types[unit.chosen];
    }
  }

  struct Weighed {
    size_t unit = 0, layer = 0;
  };

  TimedDevice device_;
  const ModelView& view_;
  const MixedOptions& options_;
  const std::vector<MixedLayer>& layers_;
  uint64_t other_bytes_;
  ModelConfig config_;
  std::vector<LayerUnit> units_;
  Rounder rounder_;
  MeasuredCosts& costs_;
  MixedReport report_;
  bool changes_head_ = false;
  size_t measured_ = 0;  // sequences
  uint64_t measured_tokens_ = 0, work_tokens_ = 0, done_tokens_ = 0;
  std::map<std::string, Weighed> hessians_;   // modules whose errors are to be weighed
  std::map<std::string, Weighed> estimable_;  // modules whose errors are known then
};

}  // namespace

MixedReport chooseTypes(const TimedDevice& device, const ModelView& view, const MixedOptions& options,
                        const MixedLayers& layers, uint64_t memory_bytes, MeasuredCosts& costs, ChosenTypes& chosen) {
  return Chooser(device, view, options, layers, costs).choose(memory_bytes, chosen);
}

}  // namespace nib::model
