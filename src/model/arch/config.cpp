#include "model/arch/config.h"

#include "model/arch/decoder.h"
#include "model/archive/container.h"
#include "model/archive/error.h"
#include "model/archive/json_document.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nib::model {
namespace {

bool has(const Json& json, const char* key) { return json.contains(key) && !json[key].is_null(); }

std::vector<double> readFactors(const Json& json, const char* key, uint32_t count) {
  if (!has(json, key) || !json[key].is_array() || json[key].size() != count) {
    refuseKey(key, "must be a list of " + std::to_string(count) + " numbers");
  }
  std::vector<double> factors;
  for (const Json& factor : json[key]) {
    if (!factor.is_number() || !(factor.get<double>() > 0) || !std::isfinite(factor.get<double>()))
      refuseKey(key, "must hold numbers above 0");
    factors.push_back(factor.get<double>());
  }
  return factors;
}

double readPositive(const Json& json, const char* key, double fallback) {
  const double value = readNumber(json, key, fallback);
  if (!(value > 0)) refuseKey(key, "must be above 0");
  return value;
}

// The object that scales the rotary embedding: rope_scaling in older files, or rope_parameters. None if the file has
// neither.
const Json* findRope(const Json& json) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!has(json, key) || json[key].empty()) continue;
    if (!json[key].is_object()) refuseKey(key, "must be an object or null");
    for (const char* layer_type : {"full_attention", "sliding_attention"}) {
      if (json[key].contains(layer_type)) refuseKey(key, "differs between layers, which nibble does not run yet");
    }
    return &json[key];
  }
  return nullptr;
}

void readScaling(const Json& json, const Json& scaling, RopeConfig& rope) {
  using Scaling = RopeConfig::Scaling;
  const std::string type = readText(scaling, "rope_type", readText(scaling, "type", "default"));
  // That of the root comes first.
  const double original = readPositive(json, "original_max_position_embeddings",
                                       readPositive(scaling, "original_max_position_embeddings", rope.max_positions));
  rope.original_positions = original;
  const bool needs_factor = type == "linear" || type == "dynamic" || type == "llama3";
  if (needs_factor && !has(scaling, "factor")) refuseKey("factor", "of rope_scaling is missing");
  rope.factor = readPositive(scaling, "factor", rope.max_positions / original);
  rope.attention_factor = readNumber(scaling, "attention_factor", 0);
  if (type == "default") {
    rope.factor = 1;
  } else if (type == "linear") {
    rope.scaling = Scaling::kLinear;
  } else if (type == "dynamic") {
    rope.scaling = Scaling::kDynamic;
  } else if (type == "llama3") {
    rope.scaling = Scaling::kLlama3;
    rope.low_freq_factor = readPositive(scaling, "low_freq_factor", 1);
    rope.high_freq_factor = readPositive(scaling, "high_freq_factor", 4);
    if (!(rope.high_freq_factor > rope.low_freq_factor)) refuseKey("high_freq_factor", "must be above low_freq_factor");
  } else if (type == "yarn") {
    rope.scaling = Scaling::kYarn;
    rope.beta_fast = readPositive(scaling, "beta_fast", 32);
    rope.beta_slow = readPositive(scaling, "beta_slow", 1);
    rope.mscale = readNumber(scaling, "mscale", 0);
    rope.mscale_all_dim = readNumber(scaling, "mscale_all_dim", 0);
    rope.truncate = readFlag(scaling, "truncate", true);
  } else if (type == "longrope" || type == "su") {
    rope.scaling = Scaling::kLongrope;
    rope.short_factor = readFactors(scaling, "short_factor", rope.rotary_size / 2);
    rope.long_factor = readFactors(scaling, "long_factor", rope.rotary_size / 2);
  } else {
    refuseKey("rope_type",
              "is " + quoteText(type) + "; nibble runs default, linear, dynamic, yarn, llama3 and longrope");
  }
}

}  // namespace

void refuseEncoder(const ModelConfig& config, const std::string& what, const std::string& why) {
  if (config.encoder) throw Error(what + ": " + config.family + " models are encoders, " + why);
}

void refuseKey(const std::string& key, const std::string& text) {
  throw Error("config.json: " + quoteText(key) + " " + text);
}

uint32_t readCount(const Json& json, const char* key, const uint32_t* fallback) {
  if (!has(json, key)) {
    if (fallback != nullptr) return *fallback;
    refuseKey(key, "is missing");
  }
  const Json& value = json[key];
  if (!value.is_number_integer() || value < 0 || value > std::numeric_limits<int32_t>::max()) {
    refuseKey(key, "must be a whole number from 0 to 2147483647");
  }
  return value.get<uint32_t>();
}

double readNumber(const Json& json, const char* key, double fallback) {
  if (!has(json, key)) return fallback;
  if (!json[key].is_number() || !std::isfinite(json[key].get<double>())) refuseKey(key, "must be a number");
  return json[key].get<double>();
}

bool readFlag(const Json& json, const char* key, bool fallback) {
  if (!has(json, key)) return fallback;
  if (!json[key].is_boolean()) refuseKey(key, "must be true or false");
  return json[key].get<bool>();
}

std::string readText(const Json& json, const char* key, const std::string& fallback) {
  if (!has(json, key)) return fallback;
  if (!json[key].is_string()) refuseKey(key, "must be a text");
  return json[key].get<std::string>();
}

void readShared(const Json& json, const Defaults& defaults, ModelConfig& config) {
  const auto count = [&](const char* key, uint32_t fallback) {
    const uint32_t value = readCount(json, key, &fallback);
    if (value == 0) refuseKey(key, "must be at least 1");
    return value;
  };
  config.vocabulary = count("vocab_size", defaults.vocabulary);
  config.hidden = count("hidden_size", defaults.hidden);
  config.inner = count("intermediate_size", defaults.inner);
  config.layers = count("num_hidden_layers", defaults.layers);
  config.heads = count("num_attention_heads", defaults.heads);
  // A key with the value null means as many as heads; the class default holds only where the key is missing.
  const bool is_default = defaults.key_heads != 0 && !json.contains("num_key_value_heads");
  config.key_heads = count("num_key_value_heads", is_default ? defaults.key_heads : config.heads);
  config.head_size = count("head_dim", defaults.head_size != 0 ? defaults.head_size : config.hidden / config.heads);
  config.max_positions = count("max_position_embeddings", defaults.max_positions);
  config.epsilon = float(readPositive(json, "rms_norm_eps", defaults.epsilon));
  config.activation = readActivation(json, "hidden_act", "silu");
  config.tied = readFlag(json, "tie_word_embeddings", defaults.tied);
  config.window.assign(config.layers, 0);
  if (config.heads % config.key_heads != 0) refuseKey("num_key_value_heads", "must divide num_attention_heads");
  if (config.head_size % 8 != 0 || config.head_size > 256) {
    refuseKey("head_dim", "is " + std::to_string(config.head_size) + "; nibble runs multiples of 8 up to 256");
  }
  config.rope.max_positions = config.max_positions;
  readRope(json, defaults.theta, 1, config.rope, config.head_size);
}

void readRope(const Json& json, double theta, double share, RopeConfig& rope, uint32_t head_size) {
  const Json* scaling = findRope(json);
  rope.theta = readPositive(json, "rope_theta", theta);
  if (scaling != nullptr) rope.theta = readPositive(*scaling, "rope_theta", rope.theta);
  share = readNumber(json, "partial_rotary_factor", share);
  if (scaling != nullptr) share = readNumber(*scaling, "partial_rotary_factor", share);
  if (!(share > 0 && share <= 1)) refuseKey("partial_rotary_factor", "must be above 0 and at most 1");
  rope.rotary_size = uint32_t(head_size * share);
  if (rope.rotary_size < 4 || rope.rotary_size % 4 != 0) {
    refuseKey("partial_rotary_factor", "leaves " + std::to_string(rope.rotary_size) +
                                           " elements of a head to rotate; nibble rotates multiples of 4");
  }
  rope.original_positions = rope.max_positions;
  if (scaling != nullptr) readScaling(json, *scaling, rope);
}

uint32_t readActivation(const Json& json, const char* key, const char* fallback) {
  const std::string name = readText(json, key, fallback);
  if (name == "silu" || name == "swish") return NIB_ACTIVATION_SILU;
  if (name == "gelu") return NIB_ACTIVATION_GELU;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return NIB_ACTIVATION_GELU_TANH;
  if (name == "relu") return NIB_ACTIVATION_RELU;
  refuseKey(key, "is " + quoteText(name) + "; nibble runs silu, gelu, gelu_pytorch_tanh and relu");
}

uint32_t readWindow(const Json& json, uint32_t usual) {
  if (json.contains("sliding_window")) usual = 0;
  return readCount(json, "sliding_window", &usual);
}

void readLayerTypes(const Json& json, uint32_t window, const std::function<bool(uint32_t layer)>& windowed,
                    ModelConfig& config) {
  for (uint32_t i = 0; i < config.layers; ++i) config.window[i] = windowed(i) ? window : 0;
  if (!has(json, "layer_types")) return;
  const Json& types = json["layer_types"];
  if (!types.is_array() || types.size() != config.layers) {
    refuseKey("layer_types", "must be a list of " + std::to_string(config.layers) + " texts");
  }
  for (uint32_t i = 0; i < config.layers; ++i) {
    const std::string type = types[i].is_string() ? types[i].get<std::string>() : types[i].dump();
    if (type != "full_attention" && type != "sliding_attention") {
      refuseKey("layer_types", "has " + quoteText(type) + "; nibble runs full_attention and sliding_attention");
    }
    config.window[i] = type == "sliding_attention" ? window : 0;
    if (type == "sliding_attention" && window == 0) {
      refuseKey("layer_types", "has sliding_attention, but no window is in use");
    }
  }
}

void checkWholeHeads(const ModelConfig& config) {
  const auto whole = [&](const RopeConfig& rope) { return rope.rotary_size == config.head_size; };
  if (whole(config.rope) && (!config.window_rope || whole(*config.window_rope))) return;
  refuseKey("partial_rotary_factor", "is not 1; models of type " + config.family + " rotate whole heads");
}

void checkExperts(const ModelConfig& config) {
  const ExpertsConfig& experts = config.experts;
  if (experts.count == 0) return;
  if (experts.count > NIB_MATMUL_MAX_EXPERTS) {
    throw Error("config.json: " + std::to_string(experts.count) + " experts are more than the " +
                std::to_string(NIB_MATMUL_MAX_EXPERTS) + " that nibble runs");
  }
  if (experts.chosen == 0 || experts.chosen > experts.count || experts.chosen > NIB_MATMUL_MAX_CHOICES) {
    refuseKey("num_experts_per_tok", "is " + std::to_string(experts.chosen) + ", and must be from 1 to " +
                                         std::to_string(std::min(experts.count, NIB_MATMUL_MAX_CHOICES)));
  }
  if (experts.inner == 0) refuseKey("moe_intermediate_size", "must be 1 or more");
}

ModelConfig readConfig(const std::string& config_json, const HasTensor& has) {
  const Json json = readJsonText(config_json, "config.json", "the text", JsonNumbers::kPython);
  if (!json.is_object()) throw Error("config.json: is not a JSON object");
  ModelConfig config;
  config.family = readText(json, "model_type", "");
  if (config.family.starts_with(kOwnNetwork)) config.family.erase(0, kOwnNetwork.size());
  for (const Family& family : families()) {
    if (family.model_type != config.family) continue;
    config.prefix = family.prefix;
    family.read(json, config);
    constexpr uint32_t kNone = 0;
    config.inner_hadamard = readCount(json, kInnerHadamard, &kNone);
    const bool fits = config.inner_hadamard == 0 ||
                      (config.inner % config.inner_hadamard == 0 && nibHadamardOrder(config.inner_hadamard) != 0);
    if (!fits) refuseKey(kInnerHadamard, "must divide intermediate_size, and have a Hadamard matrix");
    if (!has) return config;
    const auto has_embedding = [&] { return has(hiddenStates(config).embedding + ".weight"); };
    if (family.other_prefix != family.prefix && !has_embedding()) {
      config.prefix = family.other_prefix;
      if (!has_embedding()) config.prefix = family.prefix;
    }
    if (config.encoder) {
      const HiddenStates states = hiddenStates(config);
      config.has_head = has((states.transform.empty() ? states.head : states.transform) + ".weight");
      config.has_pooler = states.pooler.empty() || has(states.pooler + ".weight");
    }
    return config;
  }
  std::string known;
  for (const Family& family : families()) known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  refuseKey("model_type",
            (config.family.empty() ? "is missing" : "is " + quoteText(config.family)) + "; nibble runs " + known);
}

}  // namespace nib::model
