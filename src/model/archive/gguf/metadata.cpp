#include "model/archive/gguf/metadata.h"

#include "model/archive/error.h"
#include "model/archive/json_document.h"

#include <algorithm>
#include <cmath>

namespace nib::model {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  throw Error("config.json: " + what + ", which GGUF files of llama.cpp cannot say; choose another --format");
}

void addScaling(const RopeConfig& rope, const std::string& arch, GgufMetadata& metadata) {
  using Scaling = RopeConfig::Scaling;
  switch (rope.scaling) {
    case Scaling::kNone:
    case Scaling::kLlama3: return;  // ropeDivisors
    case Scaling::kLinear:
      metadata.add(arch + ".rope.scaling.type", "linear");
      metadata.add(arch + ".rope.scaling.factor", float(rope.factor));
      return;
    case Scaling::kYarn:
      if (rope.attention_factor != 0 || rope.mscale != 0 || rope.mscale_all_dim != 0 || rope.beta_fast != 32 ||
          rope.beta_slow != 1 || !rope.truncate) {
        refuse("rope_scaling is yarn with settings of its own (attention_factor, mscale, beta_fast, ...)");
      }
      metadata.add(arch + ".rope.scaling.type", "yarn");
      metadata.add(arch + ".rope.scaling.factor", float(rope.factor));
      metadata.add(arch + ".rope.scaling.original_context_length", uint32_t(rope.original_positions));
      return;
    case Scaling::kDynamic: refuse("rope_scaling is dynamic");
    case Scaling::kLongrope: refuse("rope_scaling is longrope");
  }
}

}  // namespace

const GgufFamily& ggufFamilyOf(const std::string& config_json) {
  const nlohmann::ordered_json json = readJsonText(config_json, "config.json", "the text", JsonNumbers::kPython);
  const std::string type = json.is_object() ? readText(json, "model_type", "") : "";
  for (const GgufFamily& family : ggufFamilies()) {
    if (type == family.model_type) return family;
  }
  throw Error("config.json: model_type " + (type.empty() ? "is missing" : "is " + quoteText(type)) +
              "; --format gguf writes " + ggufFamilyNames());
}

void addNetwork(const ModelConfig& config, const GgufFamily& family, GgufMetadata& metadata,
                std::vector<std::string>& notes) {
  if (config.activation != NIB_ACTIVATION_SILU) refuse("hidden_act is not silu");
  const uint32_t window = *std::max_element(config.window.begin(), config.window.end());
  if (window != 0 && window < config.max_positions) {
    notes.push_back("llama.cpp does not apply the window of " + std::to_string(window) +
                    " tokens that config.json gives attention: longer texts have other results there");
  }
  const std::string arch = family.architecture;
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
  addScaling(config.rope, arch, metadata);
  metadata.add(arch + ".vocab_size", config.vocabulary);
}

std::vector<float> ropeDivisors(const ModelConfig& config) {
  if (config.rope.scaling != RopeConfig::Scaling::kLlama3) return {};
  RopeConfig plain = config.rope;
  plain.scaling = RopeConfig::Scaling::kNone;
  const std::vector<double> base = ropeFrequencies(plain, config.max_positions).frequency;
  const std::vector<double> scaled = ropeFrequencies(config.rope, config.max_positions).frequency;
  std::vector<float> divisors;
  for (size_t i = 0; i < base.size(); ++i) divisors.push_back(float(base[i] / scaled[i]));
  return divisors;
}

}  // namespace nib::model
