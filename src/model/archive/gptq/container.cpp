// The files of AutoGPTQ, GPTQModel and their loaders. checkpoint_format "gptq" (version 1) stores zero points less 1,
// "gptq_v2" stores them as they are.
#include "model/archive/container.h"

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/archive/gptq/find.h"
#include "model/archive/ignore_list.h"
#include "model/archive/json_document.h"
#include "model/archive/module_name.h"
#include "model/archive/quantization_config.h"

#include <nibble/formats.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <map>
#include <set>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kHead = "lm_head";

int64_t groupSize(const WeightSpec& w) { return w.groupsPerRow() == 1 ? -1 : int64_t(w.weights.group_size); }

// The settings that dynamic can give a module.
Json settingsOf(const WeightSpec& w) {
  return {{"bits", w.bits()}, {"group_size", groupSize(w)}, {"sym", !w.asymmetric()}};
}

bool isHead(std::string_view module) { return lastSegment(module) == kHead; }

// A pattern of dynamic: an entry of ignoreList() or targetOf() behind "+:" or "-:".
std::string dynamicKey(const char* sign, const std::string& entry) {
  return sign + (entry.starts_with("re:") ? "^" + entry.substr(3) : "^" + escapedPattern(entry) + "$");
}

// The block of a module and its name within: "model.layers.3" and "mlp.up_proj". Empty if it is in none.
std::pair<std::string, std::string> blockOf(std::string_view module) {
  std::string block;
  for (std::string_view rest = module; !rest.empty();) {
    const std::string_view segment = takeSegment(rest);
    block += (block.empty() ? "" : ".") + std::string(segment);
    if (isNumber(segment)) return {block, std::string(rest)};
  }
  return {};
}

// The layers of a block that are quantized, if all blocks are alike and some layer of them stays dense: loaders without
// `dynamic` need them. Null if not.
Json layersOfBlocks(const ConfigFacts& facts) {
  std::map<std::string, std::set<std::string>> blocks;
  for (const WeightSpec& w : facts.weights) {
    const auto [block, layer] = blockOf(w.module());
    if (!layer.empty()) blocks[block].insert(layer);
  }
  const bool any_dense = std::any_of(facts.dense_modules.begin(), facts.dense_modules.end(),
                                     [&](const std::string& m) { return blocks.contains(blockOf(m).first); });
  if (blocks.empty() || !any_dense) return nullptr;
  const std::set<std::string>& first = blocks.begin()->second;
  if (std::any_of(blocks.begin(), blocks.end(), [&](const auto& b) { return b.second != first; })) return nullptr;
  return Json::array({Json(first)});
}

class Gptq : public Container {
 public:
  explicit Gptq(bool v2) : v2_(v2) {}
  const char* name() const override { return v2_ ? "gptq_v2" : "gptq"; }
  Loaders loaders() const override { return Loaders::kMany; }

  void normalize(WeightSpec& w) const override { w.weights.scale_type = NIB_TYPE_F16; }

  std::string refuses(const WeightSpec& w, Activations activations) const override {
    const uint32_t format = w.weights.format;
    if (format != NIB_FORMAT_INT2 && format != NIB_FORMAT_INT3 && format != NIB_FORMAT_INT4 &&
        format != NIB_FORMAT_INT8) {
      return std::string(name()) + " holds int2, int3, int4 and int8";
    }
    if (activations != Activations::kNone) return std::string(name()) + " has no setting for activations";
    if (w.weights.granularity != NIB_GRANULARITY_ROW && w.weights.granularity != NIB_GRANULARITY_GROUP) {
      return std::string(name()) + " has scales per channel or group";
    }
    if (w.weights.scale_type != NIB_TYPE_F16) return std::string(name()) + " has scales of F16";
    return "";
  }
  std::string misfits(const WeightSpec& w) const override {
    if (w.rows % 32 == 0 && w.cols % 32 == 0) return "";
    return "sides are not multiples of 32, which loaders of GPTQ need";
  }
  bool holdsOrder() const override { return true; }
  uint32_t leastZeroPoint() const override { return v2_ ? 0 : 1; }

  NibLayout layout(const WeightSpec&, Activations) const override { return NIB_LAYOUT_WORDS; }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    const std::string module = w.module();
    const uint64_t rows = w.rows, cols = w.cols, groups = w.groupsPerRow();
    const uint32_t bits = w.bits();
    const Dtype scale = w.scaleDtype();
    const uint64_t words = cols * bits / 32;
    std::vector<WeightPart> parts;
    WeightPart codes{{module + ".qweight", Dtype::kI32, {words, rows}}, PartFrom::kCodes};
    codes.transposition = Transposition::elements(words, 4);
    parts.push_back(std::move(codes));
    WeightPart zeros{{module + ".qzeros", Dtype::kI32, {groups, rows * bits / 32}}, PartFrom::kFill};
    if (w.asymmetric()) {
      zeros.from = PartFrom::kZeros;
      zeros.transposition =
          Transposition::fields(groups, bits, w.weights.format == NIB_FORMAT_INT8 ? 0x80 : 0, v2_ ? 0 : 1);
    } else {
      zeros.bytes = fieldPattern(bits, (1u << (bits - 1)) - (v2_ ? 0u : 1u));
    }
    parts.push_back(std::move(zeros));
    WeightPart scales{{module + ".scales", scale, {groups, rows}}, PartFrom::kScales};
    scales.transposition = Transposition::elements(groups, dtypeBits(scale) / 8);
    parts.push_back(std::move(scales));
    parts.push_back({{module + ".g_idx", Dtype::kI32, {cols}}, PartFrom::kGroups});
    return parts;
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    if (!hasPacked(checkpoint)) return {};
    const PackedConfig config(checkpoint, ReadMethod::kGptq);
    if (config.v2() != v2_) return {};
    return findPacked(checkpoint, *this, config, false);
  }

  // Loaders differ in whether they read qzeros of symmetric codes at all. Some files that say version 1 are version 2.
  void check(const Checkpoint& checkpoint, const FoundWeight& found) const override {
    if (found.spec.asymmetric()) return;
    const uint32_t bits = found.spec.bits(), middle = 1u << (bits - 1);
    const size_t zeros = found.tensors[1];
    if (isPattern(checkpoint, zeros, fieldPattern(bits, middle - 1))) return;
    if (isPattern(checkpoint, zeros, fieldPattern(bits, middle))) return;
    throw Error(quoteText(checkpoint.info(zeros).name) +
                ": holds zero points, and the configuration says that codes are symmetric (sym)");
  }

  std::string quantizationConfig(const ConfigFacts& facts) const override {
    std::map<std::string, std::vector<const WeightSpec*>> schemes;
    bool head = false;
    for (const WeightSpec& w : facts.weights) {
      head = head || isHead(w.module());
      schemes[settingsOf(w).dump()].push_back(&w);
    }
    const auto most = std::max_element(schemes.begin(), schemes.end(),
                                       [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
    Json config;
    config["quant_method"] = "gptq";
    config.update(settingsOf(*most->second.front()));
    config["desc_act"] = facts.reorders;
    config["checkpoint_format"] = config["format"] = name();
    config["lm_head"] = head;
    config["damp_percent"] = 0.01;
    config["static_groups"] = false;
    config["true_sequential"] = true;
    config["pack_dtype"] = "int32";
    config["meta"] = {{"quantizer", {std::string("nibble:") + nibVersionString()}}};
    if (const Json layers = layersOfBlocks(facts); !layers.is_null()) config["modules_in_block_to_quantize"] = layers;
    std::vector<std::pair<std::string, Json>> dynamic;
    ConfigFacts dense = facts;
    std::erase_if(dense.dense_modules, isHead);
    for (const std::string& entry : ignoreList(dense)) dynamic.emplace_back(dynamicKey("-:", entry), Json::object());
    for (const auto& [key, weights] : schemes) {
      if (&weights == &most->second) continue;
      for (const WeightSpec* w : weights) {
        dynamic.emplace_back(dynamicKey("+:", targetOf(facts, w->module())), settingsOf(*w));
      }
    }
    if (!dynamic.empty()) config["dynamic"] = jsonObject(std::move(dynamic));
    return config.dump();
  }

  // AutoGPTQ and GPTQModel read a file of their own.
  OutputPlan plan(const WriterOptions& options, std::span<const OutputTensor> tensors,
                  const Surroundings& model) const override {
    OutputPlan plan = planSafetensors(options, tensors);
    addConfigFile(model, "quantize_config.json", plan);
    return plan;
  }

 private:
  bool v2_;
};

}  // namespace

const Container& gptq() {
  static const Gptq kContainer(false);
  return kContainer;
}

const Container& gptqV2() {
  static const Gptq kContainer(true);
  return kContainer;
}

}  // namespace nib::model
