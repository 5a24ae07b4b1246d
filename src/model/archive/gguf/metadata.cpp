#include "model/archive/gguf/metadata.h"

#include "model/archive/error.h"
#include "model/archive/json_document.h"

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

void addScaling(const GgufNetwork& network, const std::string& arch, GgufMetadata& metadata,
                std::vector<std::string>& notes) {
  const RopeConfig& rope = network.config.rope;
  using Scaling = RopeConfig::Scaling;
  switch (rope.scaling) {
    case Scaling::kNone:
    case Scaling::kLlama3: return;  // ropeTensors
    case Scaling::kLinear:
      metadata.add(arch + ".rope.scaling.type", "linear");
      metadata.add(arch + ".rope.scaling.factor", float(rope.factor));
      return;
    case Scaling::kYarn:
      if (rope.attention_factor != 0 || rope.mscale != 0 || rope.mscale_all_dim != 0 || rope.beta_fast != 32 ||
          rope.beta_slow != 1 || !rope.truncate) {
        refuseForGguf("rope_scaling is yarn with settings of its own (attention_factor, mscale, beta_fast, ...)");
      }
      metadata.add(arch + ".rope.scaling.type", "yarn");
      metadata.add(arch + ".rope.scaling.factor", float(rope.factor));
      metadata.add(arch + ".rope.scaling.original_context_length", uint32_t(rope.original_positions));
      return;
    case Scaling::kDynamic: refuseForGguf("rope_scaling is dynamic");
    case Scaling::kLongrope:
      if (network.family->architecture != std::string_view("phi3")) refuseForGguf("rope_scaling is longrope");
      metadata.add(arch + ".rope.scaling.attn_factor",
                   float(ropeFrequencies(rope, network.config.max_positions).factor));
      metadata.add(arch + ".rope.scaling.original_context_length", uint32_t(rope.original_positions));
      notes.push_back(
          "llama.cpp chooses the factors of longrope by the size of its context, and not by the length of the text: "
          "a context of more than " +
          std::to_string(uint32_t(rope.original_positions)) + " tokens takes those of long texts");
      return;
  }
}

}  // namespace

void addNetwork(const GgufNetwork& network, GgufMetadata& metadata, std::vector<std::string>& notes) {
  const ModelConfig& config = network.config;
  const uint32_t window = *std::max_element(config.window.begin(), config.window.end());
  if (window != 0 && window < config.max_positions && !network.applies_window) {
    notes.push_back("llama.cpp does not apply the window of " + std::to_string(window) +
                    " tokens that config.json gives attention: longer texts have other results there");
  }
  const std::string arch = network.family->architecture;
  metadata.add(arch + ".block_count", config.layers);
  metadata.add(arch + ".context_length", config.max_positions);
  metadata.add(arch + ".embedding_length", config.hidden);
  metadata.add(arch + ".feed_forward_length", config.inner);
  metadata.add(arch + ".attention.head_count", config.heads);
  metadata.add(arch + ".attention.head_count_kv", config.key_heads);
  metadata.add(arch + ".attention.key_length", config.head_size);
  metadata.add(arch + ".attention.value_length", config.head_size);
  metadata.add(arch + ".attention.layer_norm_rms_epsilon", config.epsilon);
  metadata.add(arch + ".rope.dimension_count", config.rope.rotary_size);
  metadata.add(arch + ".rope.freq_base", float(config.rope.theta));
  addScaling(network, arch, metadata, notes);
  metadata.add(arch + ".vocab_size", config.vocabulary);
  if (network.experts != 0) {
    metadata.add(arch + ".expert_count", network.experts);
    metadata.add(arch + ".expert_used_count", network.experts_per_token);
  }
  if (network.window) metadata.add(arch + ".attention.sliding_window", *network.window);
  if (config.attention_cap != 0) metadata.add(arch + ".attn_logit_softcapping", config.attention_cap);
  if (config.logit_cap != 0) metadata.add(arch + ".final_logit_softcapping", config.logit_cap);
}

std::vector<RopeTensor> ropeTensors(const ModelConfig& config) {
  const auto floats = [](const std::vector<double>& values) {
    return std::vector<float>(values.begin(), values.end());
  };
  if (config.rope.scaling == RopeConfig::Scaling::kLongrope) {
    return {{"rope_factors_long.weight", floats(config.rope.long_factor)},
            {"rope_factors_short.weight", floats(config.rope.short_factor)}};
  }
  if (config.rope.scaling != RopeConfig::Scaling::kLlama3) return {};
  RopeConfig plain = config.rope;
  plain.scaling = RopeConfig::Scaling::kNone;
  const std::vector<double> base = ropeFrequencies(plain, config.max_positions).frequency;
  const std::vector<double> scaled = ropeFrequencies(config.rope, config.max_positions).frequency;
  RopeTensor tensor{"rope_freqs.weight", {}};
  for (size_t i = 0; i < base.size(); ++i) tensor.divisors.push_back(float(base[i] / scaled[i]));
  return {tensor};
}

}  // namespace nib::model
