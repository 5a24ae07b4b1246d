#include "model/quantize/selection.h"

#include "model/archive/error.h"

#include <algorithm>
#include <charconv>

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
bool chooseGroups(const SelectionOptions& options, const WeightType& type, std::optional<int64_t> rule_group,
                  Decision& d) {
  const NibFormatInfo& info = infoOf(type);
  NibWeights& w = d.weight.weights;
  const bool flat = (info.weights_flags & NIB_WEIGHTS_NESTED) != 0;  // the formats of bitsandbytes
  Granularity granularity = options.granularity.value_or(
      info.default_group_size != 0 || rule_group ? Granularity::kGroup : Granularity::kChannel);
  if (flat || info.granularities == 1u << NIB_GRANULARITY_GROUP) granularity = Granularity::kGroup;
  if (granularity != Granularity::kGroup) {
    w.granularity = granularity == Granularity::kTensor ? NIB_GRANULARITY_TENSOR : NIB_GRANULARITY_ROW;
    return true;
  }
  int64_t wanted = rule_group.value_or(options.group_size != 0        ? options.group_size
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

// Throws if the weight's scales cannot be searched.
void checkSearch(const WeightSpec& weight, const NibFormatInfo& info) {
  if (info.flags & (NIB_FORMAT_OWN_SCALES | NIB_FORMAT_MEAN_SCALE)) {
    throw Error("--scale-search mse: " + quoteText(weight.name) + ": type " + info.name +
                " finds scales by a rule of its own; choose another --type, or leave the search out");
  }
  if (weight.weights.granularity == NIB_GRANULARITY_TENSOR) {
    throw Error("--scale-search mse: " + quoteText(weight.name) +
                ": one scale per tensor is not searched; choose --granularity channel or group");
  }
}

}  // namespace

Rule parseRule(const std::string& text) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0) throw Error("--rule " + quoteText(text) + ": expected RE=TYPE[:G]");
  Rule rule{NamePattern("--rule", text.substr(0, equals)), {}, {}};
  std::string type = text.substr(equals + 1);
  const size_t colon = type.find(':');
  if (colon != std::string::npos) {
    int64_t group = 0;
    const char* end = type.data() + type.size();
    const auto result = std::from_chars(type.data() + colon + 1, end, group);
    if (result.ec != std::errc() || result.ptr != end || group < -1 || group == 0 || group > 256) {
      throw Error("--rule " + quoteText(text) + ": the group size must be -1 or 16 to 256");
    }
    rule.group_size = group;
    type.resize(colon);
  }
  const std::optional<WeightType> found = findWeightType(type);
  if (!found) {
    throw Error("--rule " + quoteText(text) + ": unknown type " + quoteText(type) + "; expected one of " +
                weightTypeNames());
  }
  rule.type = *found;
  return rule;
}

// Matches (^|\.)layers\.[0-9]+\.(.*\.)?(q|k|v|o|gate|up|down)_proj\.weight$. By hand, for names of any length.
bool isBlockLinear(std::string_view name) {
  constexpr std::string_view kLayers = "layers.";
  bool is_projection = false;
  for (const std::string_view end : {"q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight",
                                     "gate_proj.weight", "up_proj.weight", "down_proj.weight"}) {
    if (!name.ends_with(end)) continue;
    name.remove_suffix(end.size());
    is_projection = true;
    break;
  }
  if (!is_projection || !name.ends_with('.')) return false;
  for (size_t at = name.find(kLayers); at != name.npos; at = name.find(kLayers, at + 1)) {
    if (at != 0 && name[at - 1] != '.') continue;
    size_t digit = at + kLayers.size();
    while (digit < name.size() && name[digit] >= '0' && name[digit] <= '9') ++digit;
    // No bounds check needed: the name ends with '.'.
    if (digit != at + kLayers.size() && name[digit] == '.') return true;
  }
  return false;
}

bool isLinear(const TensorInfo& tensor) {
  return tensor.shape.size() == 2 && tensor.name.ends_with(".weight") &&
         tensor.name.find("embed") == std::string_view::npos && tensor.name.find("norm") == std::string_view::npos;
}

Decision decide(const TensorInfo& tensor, const SelectionOptions& options, const Container& container) {
  Decision decision;
  const std::string name(tensor.name);
  const Rule* rule = nullptr;
  for (const Rule& r : options.rules) {
    if (r.pattern.matches(name)) rule = &r;
  }
  const bool included = anyMatches(options.include, name);
  const bool excluded = anyMatches(options.exclude, name);
  const std::optional<NibType> source = nibTypeOf(tensor.dtype);
  const bool asked = rule != nullptr || included;
  const WeightType type = rule != nullptr ? rule->type : options.type;
  if (excluded) return decision;

  if (!type.quantized()) {
    // A dense --type casts all floating-point tensors; a rule with a dense type casts those that it matches.
    if (!source || tensor.dtype == type.dense) return decision;
    decision.kind = Decision::kCast;
    decision.dtype = type.dense;
    return decision;
  }
  if (!asked && !isBlockLinear(name)) return decision;
  const auto refuse = [&](const std::string& why) {
    if (asked) throw Error(quoteText(name) + ": " + why);
    decision.note = why + ": stays " + std::string(dtypeName(tensor.dtype));
    return decision;
  };
  if (tensor.shape.size() == 2 && !isLinear(tensor)) {
    return refuse("is not a linear layer; loaders expect dense embeddings and norms");
  }
  if (tensor.shape.size() != 2 || tensor.shape[0] == 0 || tensor.shape[1] == 0) return refuse("is not a matrix");
  if (!source) return refuse("has type " + std::string(dtypeName(tensor.dtype)) + ", weights are F32, F16 or BF16");
  if (tensor.shape[0] > UINT32_MAX || tensor.shape[1] > UINT32_MAX) return refuse("is too large");

  WeightSpec& weight = decision.weight;
  weight.name = name;
  weight.rows = uint32_t(tensor.shape[0]);
  weight.cols = uint32_t(tensor.shape[1]);
  weight.source = tensor.dtype;
  const NibFormatInfo& info = infoOf(type);
  weight.weights.format = type.format;
  // Scales have the type of the source weights if the format supports it; those of bitsandbytes are fp32.
  const bool flat = (info.weights_flags & NIB_WEIGHTS_NESTED) != 0;
  weight.weights.scale_type = flat ? uint32_t(NIB_TYPE_F32) : uint32_t(*source);
  if (!(info.scale_types >> weight.weights.scale_type & 1u)) {
    for (uint32_t t = 0; t < 4; ++t) {
      if (info.scale_types >> t & 1u) weight.weights.scale_type = t;
    }
  }
  if (options.asymmetric && (info.weights_flags & NIB_WEIGHTS_ASYMMETRIC))
    weight.weights.flags |= NIB_WEIGHTS_ASYMMETRIC;
  if (options.narrow && (info.weights_flags & NIB_WEIGHTS_NARROW)) weight.weights.flags |= NIB_WEIGHTS_NARROW;
  // Rounds MX scales as the compressed-tensors library does.
  if (info.weights_flags & NIB_WEIGHTS_SCALE_RULE) weight.weights.flags |= NIB_WEIGHTS_SCALE_EVEN;
  if (!chooseGroups(options, type, rule != nullptr ? rule->group_size : std::nullopt, decision)) return decision;
  container.normalize(weight);
  const std::string why = container.refuses(weight, options.activations);
  if (!why.empty()) throw Error(std::string("--type ") + info.name + " --format " + container.name() + ": " + why);
  weight.search_scales = options.search_scales;
  if (weight.search_scales) checkSearch(weight, info);
  decision.kind = Decision::kQuantize;
  return decision;
}

}  // namespace nib::model
