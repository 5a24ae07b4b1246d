#include "model/quantize/selection.h"

#include "model/archive/error.h"
#include "model/archive/module_name.h"
#include "model/quantize/name_hints.h"

#include <algorithm>
#include <bit>

namespace nib::model {
namespace {

const NibFormatInfo& infoOf(const WeightType& type) { return *nibFormatById(type.format); }

bool anyMatches(const std::vector<NamePattern>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const NamePattern& p) { return p.matches(name); });
}

// The largest power of two that is a valid group size, at most `at_most`, and divides cols. 0 = there is none.
uint32_t dividingGroup(uint32_t cols, uint32_t at_most, const NibFormatInfo& info) {
  for (uint32_t size = 256; size >= 16; size /= 2) {
    if (size <= at_most && size <= info.group_max && size % info.group_multiple == 0 && cols % size == 0) return size;
  }
  return 0;
}

// Sets granularity and group size of the weight. Returns false, and a note, if no group size divides the columns.
bool chooseGroups(const SelectionOptions& options, const WeightType& type, std::optional<int64_t> own_group,
                  Decision& d) {
  const NibFormatInfo& info = infoOf(type);
  NibWeights& w = d.weight.weights;
  const bool flat = (info.weights_flags & NIB_WEIGHTS_NESTED) != 0;  // the formats of bitsandbytes
  Granularity granularity = options.granularity.value_or(
      info.default_group_size != 0 || own_group ? Granularity::kGroup : Granularity::kChannel);
  if (flat || info.granularities == 1u << NIB_GRANULARITY_GROUP) granularity = Granularity::kGroup;
  if (granularity != Granularity::kGroup) {
    w.granularity = granularity == Granularity::kTensor ? NIB_GRANULARITY_TENSOR : NIB_GRANULARITY_ROW;
    return true;
  }
  int64_t wanted = own_group.value_or(options.group_size != 0        ? options.group_size
                                      : info.default_group_size != 0 ? int64_t(info.default_group_size)
                                                                     : 128);
  if (info.group_multiple == info.group_max) wanted = info.group_max;
  if (wanted == -1) {
    w.granularity = NIB_GRANULARITY_ROW;
    return true;
  }
  w.granularity = NIB_GRANULARITY_GROUP;
  w.group_size = uint32_t(wanted);
  if (flat) {
    w.flags |= NIB_WEIGHTS_FLAT | (options.double_quant ? uint32_t(NIB_WEIGHTS_NESTED) : 0u);
    return true;
  }
  if (d.weight.cols % w.group_size == 0) return true;
  const uint32_t other = dividingGroup(d.weight.cols, w.group_size, info);
  if (other == 0) {
    d.note = "K " + std::to_string(d.weight.cols) + " has no group that divides it: stays " +
             std::string(dtypeName(d.weight.source));
    return false;
  }
  d.note = "K " + std::to_string(d.weight.cols) + " is not a multiple of " + std::to_string(w.group_size) + ": group " +
           std::to_string(other);
  w.group_size = other;
  return true;
}

// The answer of --rule and --include for a name.
struct Wish {
  const Rule* rule = nullptr;
  bool included = false;
  bool asked() const { return rule != nullptr || included; }
};

Wish wishFor(const std::string& name, const SelectionOptions& options) {
  Wish wish;
  wish.rule = ruleFor(name, options);
  wish.included = anyMatches(options.include, name);
  return wish;
}

// Throws if the weight's scales cannot be searched.
void checkSearch(const WeightSpec& weight, const NibFormatInfo& info) {
  if (info.flags & (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MEAN_SCALE)) {
    throw Error("--scale-search: " + quoteText(weight.name) + ": type " + info.name +
                " finds scales by a rule of its own; choose another --type, or leave the search out");
  }
  if (weight.weights.granularity == NIB_GRANULARITY_TENSOR) {
    throw Error("--scale-search: " + quoteText(weight.name) +
                ": one scale per tensor is not searched; choose --granularity channel or group");
  }
}

std::string misfitText(uint32_t cols, uint32_t multiple, std::string_view type, const std::string& wanted) {
  return "K " + std::to_string(cols) + " is not a multiple of " + std::to_string(multiple) + ": " + std::string(type) +
         " instead of " + wanted;
}

// The matrix does not fit the type, as the note says.
void keepMisfit(const Container& container, const std::string& wanted, uint32_t multiple, Decision& d) {
  const std::optional<Dtype> type = container.misfitType();
  if (!type) return;
  d.note = misfitText(d.weight.cols, multiple, dtypeName(*type), wanted);
  if (d.weight.source == *type) return;
  d.kind = Decision::kCast;
  d.dtype = *type;
}

SizedType typeFor(const std::string& name, const Wish& wish, const SelectionOptions& options) {
  if (wish.rule != nullptr) return wish.rule->type;
  const auto chosen = options.chosen.find(name);
  return chosen != options.chosen.end() ? chosen->second : SizedType{options.type, {}};
}

// How the weight of this name, size and source is quantized.
Decision quantized(WeightSpec weight, const SizedType& sized, const SelectionOptions& options,
                   const Container& container) {
  Decision decision;
  WeightType type = sized.type;
  decision.weight = std::move(weight);
  const Container::Fit fit = container.fit(type.format, decision.weight.cols);
  if (fit.format == 0) {
    keepMisfit(container, infoOf(type).name, fit.multiple, decision);
    return decision;
  }
  const std::string replaced = fit.format != type.format ? infoOf(type).name : "";
  type.format = fit.format;
  const NibFormatInfo& info = infoOf(type);
  WeightSpec& w = decision.weight;
  w.weights.format = type.format;
  // Scales have the type of the source weights if the format supports it; those of bitsandbytes are fp32.
  const bool flat = (info.weights_flags & NIB_WEIGHTS_NESTED) != 0;
  w.weights.scale_type = flat ? uint32_t(NIB_TYPE_F32) : uint32_t(*nibTypeOf(w.source));
  if (!(info.scale_types >> w.weights.scale_type & 1u)) {
    w.weights.scale_type = uint32_t(std::bit_width(info.scale_types)) - 1;
  }
  if (options.asymmetric && (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC)) w.weights.flags |= NIB_WEIGHTS_ASYMMETRIC;
  if (options.narrow && (info.weights_flags & NIB_WEIGHTS_NARROW)) w.weights.flags |= NIB_WEIGHTS_NARROW;
  // Rounds MX scales as the compressed-tensors library does.
  if (info.weights_flags & NIB_WEIGHTS_SCALE_RULE) w.weights.flags |= NIB_WEIGHTS_SCALE_EVEN;
  if (!chooseGroups(options, type, sized.group_size, decision)) {
    keepMisfit(container, info.name, info.group_multiple, decision);
    return decision;
  }
  if (!replaced.empty()) decision.note = misfitText(decision.weight.cols, fit.multiple, info.name, replaced);
  container.normalize(w);
  const std::string why = container.refuses(w, options.activations);
  if (!why.empty()) throw Error(std::string("--type ") + info.name + " --format " + container.name() + ": " + why);
  if (const std::string misfit = container.misfits(w); !misfit.empty()) {
    decision.note = misfit + ": stays " + std::string(dtypeName(w.source));
    return decision;
  }
  w.search_scales = options.search_scales;
  if (w.search_scales) checkSearch(w, info);
  decision.kind = Decision::kQuantize;
  return decision;
}

// A dense --type casts all floating-point tensors; a rule with a dense type casts those that it matches.
Decision cast(const TensorInfo& tensor, Dtype dtype) {
  Decision decision;
  if (!nibTypeOf(tensor.dtype) || tensor.dtype == dtype) return decision;
  decision.kind = Decision::kCast;
  decision.dtype = dtype;
  return decision;
}

std::string stays(const TensorInfo& tensor) { return ": stays " + std::string(dtypeName(tensor.dtype)); }

// Throws if a pattern of --include or --rule selects only what is no matrix of a linear layer.
void checkUse(const NamePattern& pattern, const std::vector<std::string_view>& tensors,
              const std::vector<Decision>& decisions) {
  std::string why;
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (!pattern.matches(std::string(tensors[i]))) continue;
    if (!decisions[i].passed_over) return;
    if (why.empty()) why = quoteText(tensors[i]) + ": " + decisions[i].note;
  }
  if (!why.empty()) throw Error(pattern.shown() + ": selects no matrix of a linear layer: " + why);
}

}  // namespace

const Rule* ruleFor(const std::string& name, const SelectionOptions& options) {
  const Rule* found = nullptr;
  for (const Rule& rule : options.rules) {
    if (rule.pattern.matches(name)) found = &rule;
  }
  return found;
}

Rule parseRule(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) throw Error("--rule " + quoteText(text) + ": expected RE=TYPE[:G]");
  Rule rule{NamePattern("--rule", text.substr(0, equals)),
            parseSizedType(text.substr(equals + 1), "--rule " + quoteText(text))};
  return rule;
}

Decision decide(const TensorInfo& tensor, const SelectionOptions& options, const Container& container,
                const MatrixFacts& facts) {
  Decision decision;
  const std::string name(tensor.name);
  const Wish wish = wishFor(name, options);
  const SizedType sized = typeFor(name, wish, options);
  if (anyMatches(options.exclude, name)) return decision;
  if (!sized.type.quantized()) return cast(tensor, sized.type.dense);
  if (!wish.asked() && !options.chosen.contains(name) && !facts.isSelected(name)) return decision;

  const auto passOver = [&](const std::string& why) {
    decision.passed_over = wish.asked();
    decision.note = why + stays(tensor);
    return decision;
  };
  const auto refuse = [&](const std::string& why) {
    if (wish.asked()) throw Error(quoteText(name) + ": " + why);
    decision.note = why + stays(tensor);
    return decision;
  };
  if (tensor.shape.size() != 2 || tensor.shape[0] == 0 || tensor.shape[1] == 0) return passOver("is not a matrix");
  const bool is_embedding = container.holdsEmbeddings() && facts.embedding() == name;
  if (!is_embedding && !facts.isLinear(tensor))
    return passOver("is not a linear layer; loaders expect dense embeddings and norms");
  if (!nibTypeOf(tensor.dtype)) {
    return refuse("has type " + std::string(dtypeName(tensor.dtype)) + ", weights are F32, F16 or BF16");
  }
  if (tensor.shape[0] > UINT32_MAX || tensor.shape[1] > UINT32_MAX) return refuse("is too large");
  const bool transposed = facts.isTransposed(tensor);
  if (transposed && !container.holdsTransposed()) {
    return refuse("is stored as [in, out], and the loaders of --format " + std::string(container.name()) +
                  " have no such layer (Conv1D); --format bnb holds it transposed");
  }
  if (facts.isKept(moduleOf(name), container)) {
    return refuse("is a layer that transformers needs dense, so that it cannot be loaded from --format " +
                  std::string(container.name()));
  }

  WeightSpec weight;
  weight.name = name;
  weight.rows = uint32_t(tensor.shape[transposed ? 1 : 0]);
  weight.cols = uint32_t(tensor.shape[transposed ? 0 : 1]);
  weight.source = tensor.dtype;
  decision = quantized(std::move(weight), sized, options, container);
  if (transposed) decision.slice = Slice{0, 1, tensor.shape[1]};
  return decision;
}

std::vector<Decision> decideAll(const TensorInfo& tensor, const SelectionOptions& options, const Container& container,
                                const MatrixFacts& facts) {
  if (!MatrixFacts::isStack(tensor)) return {decide(tensor, options, container, facts)};
  const std::string name(tensor.name);
  const Wish wish = wishFor(name, options);
  const SizedType sized = wish.rule != nullptr ? wish.rule->type : SizedType{options.type, {}};
  if (anyMatches(options.exclude, name)) return {Decision()};
  if (!sized.type.quantized()) return {cast(tensor, sized.type.dense)};
  if (!wish.asked() && !towerOf(name).empty()) return {Decision()};
  const auto refuse = [&](const std::string& why) {
    if (wish.asked()) throw Error(quoteText(name) + ": " + why);
    Decision decision;
    decision.note = why + stays(tensor);
    return std::vector{decision};
  };
  if (container.loaders() == Container::Loaders::kNone) {
    return refuse("is a stack of experts, which --format " + std::string(container.name()) + " does not split");
  }
  std::string why;
  const std::vector<StackedMatrix> matrices = facts.matricesOf(tensor, &why);
  if (matrices.empty()) return refuse("is a stack of experts that " + why);
  std::vector<Decision> decisions;
  for (const StackedMatrix& matrix : matrices) {
    WeightSpec weight;
    weight.name = matrix.module + std::string(kWeightEnd);
    weight.rows = matrix.rows;
    weight.cols = matrix.cols;
    weight.source = tensor.dtype;
    Decision decision = quantized(std::move(weight), sized, options, container);
    if (decision.kind != Decision::kQuantize) return {decision};
    decision.slice = matrix.slice;
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

void checkMatches(const SelectionOptions& options, const std::vector<std::string_view>& tensors) {
  std::vector<const NamePattern*> all;
  for (const NamePattern& pattern : options.include) all.push_back(&pattern);
  for (const NamePattern& pattern : options.exclude) all.push_back(&pattern);
  for (const Rule& rule : options.rules) all.push_back(&rule.pattern);
  const auto hits = [](const NamePattern& pattern) {
    return [&pattern](std::string_view name) { return pattern.matches(std::string(name)); };
  };
  for (const NamePattern* const pattern : all) {
    if (options.allow_unmatched || std::any_of(tensors.begin(), tensors.end(), hits(*pattern))) continue;
    std::string nearest;
    for (const std::string& name : nearestNames(pattern->text(), tensors, 3)) {
      nearest += (nearest.empty() ? "" : ", ") + quoteText(name);
    }
    throw Error(pattern->shown() + ": matches no tensor; the nearest names are " + nearest +
                "; --allow-unmatched accepts that");
  }
}

void checkUses(const SelectionOptions& options, const std::vector<std::string_view>& tensors,
               const std::vector<Decision>& decisions) {
  if (options.allow_unmatched) return;
  for (const NamePattern& pattern : options.include) checkUse(pattern, tensors, decisions);
  for (const Rule& rule : options.rules) {
    if (rule.type.type.quantized()) checkUse(rule.pattern, tensors, decisions);
  }
}

}  // namespace nib::model
