#include "model/quantize/quantize_plan.h"

#include "model/archive/error.h"
#include "model/archive/module_name.h"
#include "model/calibrate/static_inputs.h"
#include "model/convert/conversion.h"
#include "model/quantize/lanes.h"

#include <nibble/formats.h>

#include <algorithm>
#include <set>

namespace nib::model {
namespace {

constexpr size_t kShownDense = 4;
// Output layers that may be tied to the input embedding.
constexpr std::string_view kTiedHeads = "lm_head embed_out proj_out output output_layer output_projection decoder";

// Throws if the container stores anything but the scales that a search finds.
void checkScales(const QuantizeJob& job, const QuantizeOptions& options) {
  const auto keepsAbsmax = [](const WeightPart& part) { return part.from == PartFrom::kAbsmax; };
  if (!job.decision.weight.search_scales || std::none_of(job.parts.begin(), job.parts.end(), keepsAbsmax)) return;
  throw Error("--scale-search: --format " + std::string(options.container->name()) +
              " keeps the largest magnitudes of this type's rows, not scales; choose another --format");
}

// A quantized weight counts as the dense tensor that it was.
TensorInfo infoOf(const ModelView::Tensor& tensor) {
  return {tensor.name,
          tensor.weight != nullptr ? tensor.weight->spec.source : tensor.declared.value_or(tensor.dtype),
          tensor.shape,
          tensor.bytes,
          0,
          0};
}

// Makes a plan, tensor by tensor.
class Planner {
 public:
  // ranges: one for each lane. chosen: types by tensor.
  Planner(const ModelView& view, std::deque<TypeRanges>& ranges, const QuantizeOptions& options, ChosenTypes chosen)
      : view_(view),
        ranges_(ranges),
        options_(options),
        selection_(options.selection),
        facts_(matrixFactsOf(view)),
        dense_(facts_, *options.container) {
    selection_.chosen = std::move(chosen);
    plan_.facts.activations = selection_.activations;
    plan_.facts.reorders = options.gptq && options.gptq->order == ColumnOrder::kFalling;
    plan_.facts.names = facts_.names();
    if (!options.importance) return;
    if (!view.checkpoint().configJson()) throw Error("--imatrix needs the model's folder with config.json");
    importance_.emplace(*options.importance, *view.checkpoint().configJson());
  }

  QuantizePlan plan() {
    std::vector<const ModelView::Tensor*> tensors;
    for (const ModelView::Tensor& tensor : view_.tensors()) tensors.push_back(&tensor);
    // By their place in the input; if a model is converted, by name, so that the bytes do not depend on that.
    if (!options_.convert) {
      std::sort(tensors.begin(), tensors.end(), [](const auto* a, const auto* b) { return a->index < b->index; });
    }
    std::vector<std::string_view> names;
    std::vector<Decision> decisions;
    std::vector<std::vector<Decision>> wanted(tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) wanted[i] = decisionsOn(*tensors[i]);
    // Only this takes long: it may read the tensors.
    runLanes(uint32_t(ranges_.size()), tensors.size(), [&](uint32_t lane, size_t i) {
      for (Decision& decision : wanted[i]) {
        if (!decision.keeps_codes) ranges_[lane].fit(*tensors[i], decision);
        chooseDense(*tensors[i], decision);
      }
    });
    for (size_t i = 0; i < tensors.size(); ++i) {
      names.push_back(tensors[i]->name);
      decisions.push_back(addTensor(*tensors[i], std::move(wanted[i])));
    }
    const std::vector<std::string> heads = facts_.heads();
    for (const std::string& head : heads) addHead(head, names, decisions);
    if (!options_.convert) {
      checkMatches(selection_, names);
      checkUses(selection_, names, decisions);
    }
    addTrees();
    std::vector<std::string>& modules = plan_.facts.dense_modules;
    std::sort(modules.begin(), modules.end());
    if (importance_) importance_->check(plan_.notes);
    if (!plan_.facts.weights.empty()) {
      plan_.quantization_config = options_.container->quantizationConfig(plan_.facts);
    }
    if (selection_.type.quantized() && !options_.convert) plan_.dense = dense_.share(kShownDense);
    return std::move(plan_);
  }

 private:
  // Whether the tensor can be cast.
  static bool canCast(const ModelView::Tensor& tensor) {
    return tensor.weight != nullptr || nibTypeOf(tensor.dtype).has_value();
  }

  // None if the container leaves the tensor out.
  std::vector<Decision> decisionsOn(const ModelView::Tensor& tensor) const {
    const TensorInfo info = infoOf(tensor);
    const Container& container = *options_.container;
    if (container.leavesOut(tensor.name, facts_.tied())) return {};
    if (options_.convert) return {converted(tensor)};
    std::vector<Decision> decisions = decideAll(info, selection_, container, facts_);
    for (Decision& decision : decisions) {
      if (tensor.weight == nullptr || decision.kind == Decision::kQuantize) continue;
      decision.dtype =
          decision.kind == Decision::kCast || !selection_.type.quantized() ? selection_.type.dense : info.dtype;
      decision.kind = Decision::kCast;
    }
    return decisions;
  }

  // The decision on a tensor if the container changes.
  Decision converted(const ModelView::Tensor& tensor) const {
    Decision decision;
    if (tensor.weight == nullptr) return decision;
    const TensorInfo info = infoOf(tensor);
    const Container& container = *options_.container;
    const bool is_embedding = container.holdsEmbeddings() && facts_.embedding() == tensor.name;
    if (container.loaders() == Container::Loaders::kNone || (!is_embedding && !facts_.isLinear(info))) {
      decision.kind = Decision::kCast;
      decision.dtype = info.dtype;
      return decision;
    }
    // GGUF files have quantized heads, which most loaders of other containers want dense.
    const std::vector<std::string> heads = facts_.heads();
    const bool is_head = std::find(heads.begin(), heads.end(), moduleOf(tensor.name)) != heads.end();
    if (is_head && tensor.weight->container->holdsEmbeddings()) {
      decision.kind = Decision::kCast;
      decision.dtype = info.dtype;
      decision.note = "the head becomes dense";
      return decision;
    }
    Conversion conversion = conversionOf(view_.checkpoint(), *tensor.weight, container);
    decision.kind = Decision::kQuantize;
    decision.weight = std::move(conversion.weight);
    decision.keeps_codes = conversion.lossless;
    decision.note = std::move(conversion.why);
    return decision;
  }

  // The type in which the container keeps a tensor that is not quantized.
  void chooseDense(const ModelView::Tensor& tensor, Decision& decision) const {
    if (decision.kind == Decision::kQuantize || !canCast(tensor)) return;
    const TensorInfo info = infoOf(tensor);
    decision.dtype =
        options_.container->denseType(info, decision.kind == Decision::kCast ? decision.dtype : info.dtype);
    const bool same = tensor.weight == nullptr && decision.dtype == tensor.dtype;
    decision.kind = same ? Decision::kKeep : Decision::kCast;
  }

  // Returns the decision on the tensor, or on its first matrix.
  Decision addTensor(const ModelView::Tensor& tensor, std::vector<Decision> decisions) {
    const TensorInfo info = infoOf(tensor);
    if (decisions.empty()) {
      plan_.left_out.emplace_back(tensor.name);
      return {};
    }
    const Decision first = decisions.front();
    dense_.add(info, first);
    for (Decision& decision : decisions) addJob(tensor, std::move(decision));
    if (first.kind == Decision::kQuantize) return first;
    if (facts_.isLinear(info)) plan_.facts.dense_modules.emplace_back(moduleOf(tensor.name));
    const std::string_view tower = towerOf(moduleOf(tensor.name));
    if (!tower.empty() && facts_.kind(moduleOf(tensor.name)) == ModuleKind::kTower) trees_.emplace(tower);
    if (MatrixFacts::isStack(info)) {
      const std::string_view module = moduleOf(tensor.name);
      trees_.emplace(module.substr(0, module.rfind('.')));
    }
    return first;
  }

  void addJob(const ModelView::Tensor& tensor, Decision decision) {
    QuantizeJob job;
    job.tensor = &tensor;
    job.decision = std::move(decision);
    job.name = tensor.name;
    job.shape = tensor.shape;
    job.bytes_in = tensor.declared ? tensor.elements() * dtypeBits(*tensor.declared) / 8 : tensor.bytes;
    job.first_output = plan_.outputs.size();
    switch (job.decision.kind) {
      case Decision::kQuantize: {
        WeightSpec& weight = job.decision.weight;
        if (importance_) importance_->give(weight);
        if (isStatic(selection_.activations) && !options_.convert) weight.input = staticInputOf(weight);
        job.parts = options_.container->parts(weight, selection_.activations);
        checkScales(job, options_);
        if (options_.gptq) checkGptq(weight);
        for (const WeightPart& part : job.parts) plan_.outputs.push_back({part.tensor, plan_.jobs.size()});
        if (job.decision.slice) {
          job.shape = {weight.rows, weight.cols};
          job.bytes_in = uint64_t(weight.rows) * weight.cols * dtypeBits(weight.source) / 8;
        }
        job.name = weight.name;
        const std::string module = weight.module();
        if (facts_.kind(module) == ModuleKind::kHead && hasWord(kTiedHeads, lastSegment(module))) {
          if (facts_.tied()) checkUntying(weight.name);
          plan_.untied = true;
        }
        plan_.facts.weights.push_back(weight);
        break;
      }
      case Decision::kCast:
        plan_.outputs.push_back({{std::string(tensor.name), job.decision.dtype, tensor.shape}, std::nullopt});
        break;
      case Decision::kKeep:
        plan_.outputs.push_back({{std::string(tensor.name), tensor.dtype, tensor.shape}, std::nullopt});
        break;
    }
    plan_.jobs.push_back(std::move(job));
  }

  // As long as ranges are not calibrated yet, any will do.
  StaticInput staticInputOf(const WeightSpec& weight) const {
    if (options_.input_range && selection_.inputs.empty()) {
      StaticInput input;
      input.scale = 1;
      input.channels = weight.cols;
      return input;
    }
    return inputOf(selection_.inputs, weight);
  }

  void checkGptq(const WeightSpec& weight) const {
    const NibFormatInfo& info = *nibFormatById(weight.weights.format);
    if ((weight.weights.flags & NIB_WEIGHTS_FLAT) != 0) {
      throw Error(std::string(options_.gptq->nearest ? "--scale-search output: " : "--method gptq: ") +
                  quoteText(weight.name) + ": groups of --format " + options_.container->name() +
                  " go on from row to row, and calibration needs groups within rows: choose another --format");
    }
    if ((info.flags & NIB_FORMAT_OWN_SCALES) == 0 || gptqTwin(weight.weights.format) != 0) return;
    const bool nearest = options_.gptq->nearest;
    throw Error((nearest ? "--scale-search output: " : "--method gptq: ") + quoteText(weight.name) + ": type " +
                info.name + " finds the scale of a block by a rule of its own, and " +
                (nearest ? "this search" : "GPTQ") + " needs one that it can apply " +
                (nearest ? "to any range" : "column by column") +
                ": choose q4_0, q8_0 or mxfp4 for it, leave it dense with --exclude '" +
                std::string(moduleOf(weight.name)) + "', or --method rtn with another --scale-search");
  }

  void checkUntying(const std::string& name) const {
    if (facts_.family() == nullptr || !facts_.family()->scaled_tie) return;
    throw Error(quoteText(name) +
                ": is tied to the embedding, and this family scales the output of a tied head, so it "
                "cannot be quantized by itself: leave it out of --include");
  }

  // A model with a tied head has no tensor of it, but loaders create the layer and must not quantize it. If it is to be
  // quantized, it is a copy of the embedding.
  void addHead(const std::string& head, std::vector<std::string_view>& names, std::vector<Decision>& decisions) {
    for (const std::string& name : facts_.names().spellings(head)) {
      if (view_.find(name + ".weight") != nullptr) return;
    }
    const ModelView::Tensor* const embedding = facts_.embedding() ? view_.find(*facts_.embedding()) : nullptr;
    // Many families tie the head unless config.json says otherwise, and a head that is neither there nor tied is noise.
    if (embedding != nullptr && !facts_.untied()) {
      if (options_.convert) {
        plan_.facts.dense_modules.push_back(head);
        return;
      }
      tied_names_.push_back(head + ".weight");
      TensorInfo info = infoOf(*embedding);
      info.name = tied_names_.back();
      Decision decision = decide(info, selection_, *options_.container, facts_);
      names.push_back(tied_names_.back());
      decisions.push_back(decision);
      if (decision.kind == Decision::kQuantize) {
        ranges_.front().fit(*embedding, decision);
        addJob(*embedding, std::move(decision));
        plan_.jobs.back().bytes_in = 0;  // counted with the embedding
        return;
      }
    }
    plan_.facts.dense_modules.push_back(head);
  }

  // Towers and stacks of experts without any quantized matrix.
  void addTrees() {
    for (const std::string& tree : trees_) {
      const bool has_quantized = std::any_of(plan_.facts.weights.begin(), plan_.facts.weights.end(),
                                             [&](const WeightSpec& w) { return w.name.starts_with(tree + "."); });
      if (!has_quantized) plan_.facts.dense_trees.push_back(tree);
    }
  }

  const ModelView& view_;
  std::deque<TypeRanges>& ranges_;
  const QuantizeOptions& options_;
  SelectionOptions selection_;
  const MatrixFacts facts_;
  DenseCount dense_;
  QuantizePlan plan_;
  std::optional<ColumnImportance> importance_;
  std::set<std::string> trees_;
  std::deque<std::string> tied_names_;
};

}  // namespace

MatrixFacts matrixFactsOf(const ModelView& view) {
  std::vector<TensorInfo> tensors;
  for (const ModelView::Tensor& tensor : view.tensors()) tensors.push_back(infoOf(tensor));
  return MatrixFacts(tensors, view.checkpoint().configJson());
}

QuantizePlan makePlan(const ModelView& view, std::deque<TypeRanges>& ranges, const QuantizeOptions& options,
                      ChosenTypes chosen) {
  return Planner(view, ranges, options, std::move(chosen)).plan();
}

uint32_t gptqTwin(uint32_t format) {
  return format == NIB_FORMAT_Q4_0 ? NIB_FORMAT_INT4 : format == NIB_FORMAT_Q8_0 ? NIB_FORMAT_INT8 : 0;
}

uint64_t outputBytes(const QuantizePlan& plan, const QuantizeJob& job) {
  uint64_t bytes = 0;
  for (size_t i = 0; i < job.outputCount(); ++i) {
    const TensorSpec& tensor = plan.outputs[job.first_output + i];
    bytes += *tensorBytes(tensor.dtype, tensor.shape);
  }
  return bytes;
}

std::map<std::string, WeightSpec> weightsOf(const QuantizePlan& plan) {
  std::map<std::string, WeightSpec> weights;
  for (const QuantizeJob& job : plan.jobs) {
    if (job.decision.kind == Decision::kQuantize) weights[job.decision.weight.module()] = job.decision.weight;
  }
  return weights;
}

void checkNotEmpty(const QuantizePlan& plan, const QuantizeOptions& options) {
  if (!plan.facts.weights.empty()) return;
  const bool takes_values = options.container == &gguf() || options.container->loaders() == Container::Loaders::kNone;
  if (options.convert && !takes_values) {
    throw Error(shown(options.in) + ": nothing to convert: no weight is quantized; nibble quantize quantizes it");
  }
  if (options.convert || !options.selection.type.quantized()) return;
  for (const QuantizeJob& job : plan.jobs) {
    if (!job.decision.note.empty()) {
      throw Error(shown(options.in) + ": nothing to quantize: " + quoteText(job.name) + ": " + job.decision.note);
    }
  }
  if (!options.selection.exclude.empty()) {
    throw Error(shown(options.in) + ": --exclude leaves no linear layer to quantize");
  }
  throw Error(shown(options.in) + ": no tensor is a linear layer of a block (\"...layers.N...q_proj.weight\"); " +
              "--include RE selects others" +
              (plan.dense.largest.empty() || plan.dense.largest[0].pattern.empty()
                   ? std::string()
                   : ", --include '" + plan.dense.largest[0].pattern + "' for example"));
}

}  // namespace nib::model
