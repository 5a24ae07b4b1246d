// AutoAWQ's files of version GEMM: codes of 4 bits in words along the outputs, in an order of their own.
#include "model/archive/checkpoint.h"
#include "model/archive/container.h"
#include "model/archive/error.h"
#include "model/archive/gptq/find.h"
#include "model/archive/ignore_list.h"

#include <nibble/formats.h>
#include <nlohmann/json.hpp>

namespace nib::model {
namespace {

using Json = nlohmann::ordered_json;

class Awq : public Container {
 public:
  const char* name() const override { return "awq"; }
  Loaders loaders() const override { return Loaders::kMany; }

  void normalize(WeightSpec& w) const override { w.weights.scale_type = NIB_TYPE_F16; }

  std::string refuses(const WeightSpec& w, Activations activations) const override {
    if (w.weights.format != NIB_FORMAT_INT4) return "awq holds int4";
    if (activations != Activations::kNone) return "awq has no setting for activations";
    if (w.weights.granularity != NIB_GRANULARITY_ROW && w.weights.granularity != NIB_GRANULARITY_GROUP) {
      return "awq has scales per channel or group";
    }
    if (w.weights.scale_type != NIB_TYPE_F16) return "awq has scales of F16";
    return "";
  }
  std::string misfits(const WeightSpec& w) const override {
    if (w.rows % 32 != 0 || w.cols % 32 != 0) return "sides are not multiples of 32, which nibble needs for AWQ";
    const bool whole = w.groupsPerRow() == 1 || w.cols % w.weights.group_size == 0;
    return whole ? "" : "its columns are not whole groups, which loaders of AWQ need";
  }

  NibLayout layout(const WeightSpec&, Activations) const override { return NIB_LAYOUT_WORDS; }

  std::vector<WeightPart> parts(const WeightSpec& w, Activations) const override {
    const std::string module = w.module();
    const uint64_t rows = w.rows, cols = w.cols, groups = w.groupsPerRow();
    const Dtype scale = w.scaleDtype();
    WeightPart zeros{{module + ".qzeros", Dtype::kI32, {groups, rows / 8}}, PartFrom::kFill, fieldPattern(4, 8)};
    if (w.asymmetric()) {
      zeros = {zeros.tensor, PartFrom::kZeros, {}, Transposition::awqFields(groups)};
    }
    return {{{module + ".qweight", Dtype::kI32, {cols, rows / 8}}, PartFrom::kCodes, {}, Transposition::awqCodes(cols)},
            zeros,
            {{module + ".scales", scale, {groups, rows}},
             PartFrom::kScales,
             {},
             Transposition::elements(groups, dtypeBits(scale) / 8)}};
  }

  std::vector<FoundWeight> find(const Checkpoint& checkpoint) const override {
    if (!hasPacked(checkpoint)) return {};
    return findPacked(checkpoint, *this, PackedConfig(checkpoint, ReadMethod::kAwq), true);
  }

  std::string quantizationConfig(const ConfigFacts& facts) const override {
    const WeightSpec& first = facts.weights.front();
    for (const WeightSpec& w : facts.weights) {
      if (w.groupsPerRow() == 1 && first.groupsPerRow() == 1) continue;
      if (w.groupsPerRow() != 1 && first.groupsPerRow() != 1 && w.weights.group_size == first.weights.group_size)
        continue;
      throw Error("--format awq: " + quoteText(w.name) + " and " + quoteText(first.name) +
                  " have groups of other sizes, and AWQ's configuration has one for all: choose one --group-size that "
                  "divides all columns, or --format gptq");
    }
    Json config;
    config["quant_method"] = "awq";
    config["bits"] = 4;
    config["group_size"] = first.groupsPerRow() == 1 ? int64_t(-1) : int64_t(first.weights.group_size);
    config["zero_point"] = true;
    config["version"] = "gemm";
    // Without a list, loaders convert every layer of the blocks but the head.
    std::vector<std::string> kept = skipList(facts);
    std::erase(kept, "lm_head");
    config["modules_to_not_convert"] = kept.empty() ? Json(nullptr) : Json(kept);
    return config.dump();
  }

  // AutoAWQ reads a file of its own.
  OutputPlan plan(const WriterOptions& options, std::span<const OutputTensor> tensors,
                  const Surroundings& model) const override {
    OutputPlan plan = planSafetensors(options, tensors);
    addConfigFile(model, "quant_config.json", plan);
    return plan;
  }
};

}  // namespace

const Container& awq() {
  static const Awq kContainer;
  return kContainer;
}

}  // namespace nib::model
