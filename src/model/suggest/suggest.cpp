#include "model/suggest/suggest.h"

#include "model/archive/error.h"
#include "model/archive/gguf/formats.h"
#include "model/suggest/typical_loss.h"

#include <algorithm>
#include <tuple>

namespace nib::model {
namespace {

struct Way {
  const char* format;
  const char* type;
  int64_t group_size;  // 0 = the type's own
  bool asymmetric;
  bool gptq;  // also with GPTQ
};
// All that is suggested: of each size the types that lose the least, in the containers of the usual loaders.
constexpr Way kWays[] = {{"compressed-tensors", "int8", 0, false, false},
                         {"compressed-tensors", "fp8", 0, false, false},
                         {"compressed-tensors", "int4", 32, true, true},
                         {"compressed-tensors", "int4", 64, true, true},
                         {"compressed-tensors", "int4", 128, false, true},
                         {"gptq", "int3", 64, true, true},
                         {"gptq", "int2", 64, true, true},
                         {"bnb", "nf4", 0, false, false},
                         {"gguf", "Q8_0", 0, false, false},
                         {"gguf", "Q6_K", 0, false, false},
                         {"gguf", "Q5_K_M", 0, false, false},
                         {"gguf", "Q4_K_M", 0, false, false},
                         {"gguf", "Q4_K_S", 0, false, false},
                         {"gguf", "Q3_K_M", 0, false, false},
                         {"gguf", "Q2_K", 0, false, false}};

const GgufMix* mixOf(const Way& way) {
  return std::string_view(way.format) == "gguf" ? findGgufMix(way.type) : nullptr;
}

SelectionOptions selectionOf(const Way& way) {
  SelectionOptions selection;
  if (const GgufMix* mix = mixOf(way)) {
    selection.type = WeightType{formatOfGgml(mix->base), Dtype::kF32};
    return selection;
  }
  const std::optional<WeightType> type = findWeightType(way.type);
  if (!type) return selection;
  selection.type = *type;
  selection.asymmetric = way.asymmetric;
  if (way.group_size != 0) {
    selection.granularity = Granularity::kGroup;
    selection.group_size = way.group_size;
  }
  return selection;
}

auto rankOf(const Suggestion& s) {
  // Sizes as numbers of loss would be: one of both decides.
  return std::tuple(!s.fits, !s.good, s.good ? double(s.footprint.all()) : s.loss,
                    s.good ? s.loss : double(s.footprint.all()));
}

}  // namespace

double mostLoss(Quality quality) {
  return quality == Quality::kHigh ? 0.003 : quality == Quality::kMedium ? 0.02 : 0.1;
}

std::string Suggestion::arguments() const {
  if (type.empty()) return "";
  std::string text = "--format " + format + " --type " + type;
  if (group_size) text += " --group-size " + std::to_string(*group_size);
  if (asymmetric) text += " --asym";
  if (method != "rtn") text += " --method " + method;
  return text;
}

std::vector<Suggestion> suggest(const std::string& config_json, Dtype dense, const SuggestOptions& options) {
  const ModelConfig config = readConfig(config_json);
  const NetworkLayers network = networkLayers(config, dense);
  std::vector<Suggestion> all;
  const auto add = [&](Suggestion one, const LayerWeights& weights) {
    one.footprint = footprintOf(config, network, weights, options.context);
    one.bits_per_weight = 8.0 * double(one.footprint.layers) / double(network.elements());
    one.fits = !options.memory_bytes || one.footprint.all() <= *options.memory_bytes;
    if (options.gigabytes_per_second) {
      one.tokens_per_second = *options.gigabytes_per_second * 1e9 / double(one.footprint.perToken());
    }
    all.push_back(std::move(one));
  };
  add({}, weightsAt(network, config_json, {}, denseValues()));
  for (const Way& way : kWays) {
    const SelectionOptions selection = selectionOf(way);
    const Container* container = findContainer(way.format);
    if (!selection.type.quantized() || container == nullptr) continue;
    LayerWeights weights;
    try {
      weights = weightsAt(network, config_json, selection, *container, mixOf(way));
    } catch (const Error& error) {
      if (options.note) options.note(std::string(way.type) + " --format " + way.format + ": " + error.what());
      continue;
    }
    if (std::none_of(weights.begin(), weights.end(), [](const auto& w) { return w.second.has_value(); })) continue;
    Suggestion one;
    one.format = way.format;
    one.type = way.type;
    if (way.group_size != 0) one.group_size = way.group_size;
    one.asymmetric = way.asymmetric;
    one.method = "rtn";
    add(one, weights);
    const double bits = all.back().bits_per_weight;
    all.back().loss = options.measure ? options.measure(weights) : typicalLoss(bits);
    all.back().loss_measured = bool(options.measure);
    if (!way.gptq) continue;
    Suggestion better = all.back();
    better.method = "gptq";
    better.loss *= gptqShare(bits);
    better.loss_measured = false;
    all.push_back(std::move(better));
  }
  for (Suggestion& one : all) one.good = one.loss <= mostLoss(options.quality);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return rankOf(a) < rankOf(b); });
  return all;
}

}  // namespace nib::model
