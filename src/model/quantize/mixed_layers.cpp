#include "model/quantize/mixed_layers.h"

#include "model/archive/error.h"
#include "model/quantize/jobs.h"
#include "model/quantize/output_setup.h"

#include <algorithm>
#include <set>

namespace nib::model {
namespace {

// The layers that are quantized unless a type says otherwise: whether a rule gives it, by name.
std::map<std::string, bool, std::less<>> layersOf(const ModelView& view, const MatrixFacts& facts,
                                                  const SelectionOptions& selection) {
  std::map<std::string, bool, std::less<>> layers;
  for (const ModelView::Tensor& tensor : view.tensors()) {
    const std::string name(tensor.name);
    const auto matches = [&](const NamePattern& pattern) { return pattern.matches(name); };
    const auto anyOf = [&](const auto& patterns) { return std::any_of(patterns.begin(), patterns.end(), matches); };
    if (tensor.shape.size() != 2 || anyOf(selection.exclude)) continue;
    if (!facts.isSelected(name) && !anyOf(selection.include)) continue;
    layers.emplace(name, ruleFor(name, selection) != nullptr);
  }
  return layers;
}

}  // namespace

MixedLayers mixedLayers(const ModelView& view, std::deque<TypeRanges>& ranges, const QuantizeOptions& options,
                        const WriterOptions& writing) {
  const std::vector<SizedType>& types = options.mixed->types;
  const auto layers = layersOf(view, matrixFactsOf(view), options.selection);
  ChosenTypes free;
  for (const auto& [name, fixed] : layers) {
    if (!fixed) free.emplace(name, types.front());
  }
  MixedLayers found;
  std::map<std::string, size_t, std::less<>> index;
  std::set<std::string, std::less<>> quantized;  // at any type
  for (size_t t = 0; t < types.size(); ++t) {
    for (auto& [name, type] : free) type = types[t];
    const QuantizePlan plan = makePlan(view, ranges, options, free);
    found.other_bytes = 0;
    for (const QuantizeJob& job : plan.jobs) {
      const bool quantizes = job.decision.kind == Decision::kQuantize;
      const bool is_free = free.contains(job.name);
      const uint64_t bytes = outputBytes(plan, job);
      if (!quantizes && !layers.contains(job.name)) {
        found.other_bytes += bytes;
        continue;
      }
      if (quantizes && !is_free && ruleFor(job.name, options.selection) == nullptr) {
        throw Error(quoteText(job.name) +
                    ": its loss cannot be measured, because the model's file has no such matrix: "
                    "give it a type with --rule, or leave it out");
      }
      if (!quantizes && is_free && !types[t].type.quantized() && job.tensor->dtype != types[t].type.dense) {
        throw Error("--types " + types[t].name() + ": " + quoteText(job.name) + " is " +
                    std::string(dtypeName(job.tensor->dtype)) + ", and layers that stay dense keep their type: name " +
                    std::string(dtypeName(job.tensor->dtype)));
      }
      if (quantizes && job.tensor->weight != nullptr) {
        throw Error(quoteText(job.name) + " is quantized already: --budget and --size compare with a dense model");
      }
      const auto [place, is_new] = index.emplace(job.name, found.layers.size());
      if (is_new) found.layers.push_back({job.name, job.tensor->elements(), {}, !is_free});
      MixedLayer& layer = found.layers[place->second];
      if (quantizes) quantized.insert(job.name);
      if (layer.fixed && !is_new) continue;
      const TensorReport report = reportOf(job, plan);
      layer.types.push_back(
          {quantizes ? std::optional(job.decision.weight) : std::nullopt,
           report.type + (report.group_size != 0 ? ":" + std::to_string(report.group_size) : std::string()), bytes});
    }
  }
  // A matrix that no type quantizes stays dense.
  for (const MixedLayer& layer : found.layers) {
    if (!layer.fixed && !quantized.contains(layer.name)) found.other_bytes += layer.types.front().bytes;
  }
  std::erase_if(found.layers, [&](const MixedLayer& l) { return !l.fixed && !quantized.contains(l.name); });
  if (std::all_of(found.layers.begin(), found.layers.end(), [](const MixedLayer& l) { return l.fixed; })) {
    throw Error(shown(options.in) + ": there is no layer whose type could be chosen");
  }
  // A choice of all types, so that whatever refuses it does so before anything is measured.
  size_t next = 0;
  for (auto& [name, type] : free) type = types[next++ % types.size()];
  const QuantizePlan plan = makePlan(view, ranges, options, free);
  const OutputPlan output =
      options.container->plan(writing, plan.outputs, surroundingsOf(plan, options, view.checkpoint()));
  if (!options.resume) checkReplaceable(outputPathsOf(options.out), output.kind, options.force, writing.keep);
  return found;
}

}  // namespace nib::model
