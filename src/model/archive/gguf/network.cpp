#include "model/archive/gguf/network.h"

#include "model/archive/error.h"
#include "model/archive/json_document.h"

#include <algorithm>
#include <span>

namespace nib::model {
namespace {

void readMixtral(const Json& json, GgufNetwork& network) {
  ModelConfig& config = network.config;
  readShared(json, {32000, 4096, 14336, 32, 32, 8, 0, 131072, 1e-5, 1e6, false}, config);
  checkWholeHeads(config);
  const uint32_t no_window = 0, experts = 8, experts_per_token = 2;
  config.window.assign(config.layers, readCount(json, "sliding_window", &no_window));
  network.experts = readCount(json, "num_local_experts", &experts);
  network.experts_per_token = readCount(json, "num_experts_per_tok", &experts_per_token);
  if (network.experts_per_token == 0 || network.experts_per_token > network.experts) {
    refuseKey("num_experts_per_tok", "must be from 1 to num_local_experts");
  }
}

// Queries are scaled by the size of a head, in the largest model by hidden size over heads.
void checkGemma(const Json& json, uint32_t layers_of_largest, GgufNetwork& network) {
  const ModelConfig& config = network.config;
  if (!config.tied) refuseForGguf("the head is not tied to the embedding");
  if (config.query_bias) refuseForGguf("attention has biases");
  network.activation = NIB_ACTIVATION_GELU_TANH;
  const double scale = readNumber(json, "query_pre_attn_scalar", 256);
  const double expected = config.layers == layers_of_largest ? double(config.hidden) / config.heads : config.head_size;
  if (scale != expected) {
    refuseForGguf("query_pre_attn_scalar is not " + std::to_string(uint32_t(expected)));
  }
  network.window = *std::max_element(config.window.begin(), config.window.end());
  network.applies_window = true;
}

void checkGemma2(const Json& json, GgufNetwork& network) {
  constexpr uint32_t kLayersOfLargest = 46;
  checkGemma(json, kLayersOfLargest, network);
  const ModelConfig& config = network.config;
  if (config.attention_cap == 0 || config.logit_cap == 0) refuseForGguf("logits have no soft caps");
  for (uint32_t i = 0; i < config.layers; ++i) {
    if ((config.window[i] != 0) != (i % 2 == 0)) refuseForGguf("layer_types does not have windows by turns");
  }
}

// The rotary embedding of layers with a window is always the same.
void checkGemma3(const Json& json, GgufNetwork& network) {
  constexpr uint32_t kLayersOfLargest = 62;
  checkGemma(json, kLayersOfLargest, network);
  const ModelConfig& config = network.config;
  if (config.logit_cap != 0) refuseForGguf("logits have a soft cap");
  for (uint32_t i = 0; i < config.layers; ++i) {
    if ((config.window[i] != 0) != ((i + 1) % 6 != 0)) {
      refuseForGguf("layer_types does not have windows but in every sixth layer");
    }
  }
  using Scaling = RopeConfig::Scaling;
  if (config.window_rope->theta != 10000 || config.window_rope->scaling != Scaling::kNone) {
    refuseForGguf("layers with a window have a rotary embedding that is not plain, with rope_local_base_freq 10000");
  }
  if (config.rope.scaling != Scaling::kNone && config.rope.scaling != Scaling::kLinear) {
    refuseForGguf("rope_scaling is not linear");
  }
}

void checkOlmo2(const Json&, GgufNetwork& network) {
  const ModelConfig& config = network.config;
  if (config.tied) refuseForGguf("the head is tied to the embedding");
  if (config.query_bias) refuseForGguf("attention has biases");
  if (config.head_size * config.heads != config.hidden)
    refuseForGguf("head_dim is not hidden_size / num_attention_heads");
}

void checkPhi3(const Json& json, GgufNetwork& network) {
  const ModelConfig& config = network.config;
  if (config.head_size * config.heads != config.hidden)
    refuseForGguf("head_dim is not hidden_size / num_attention_heads");
  if (readFlag(json, "attention_bias", false)) refuseForGguf("attention has biases");
  network.window = config.window.front();
}

struct Special {
  const char* model_type;
  void (*read)(const Json& json, GgufNetwork& network);
};
// Families that nibble does not run.
constexpr Special kReaders[] = {{"mixtral", &readMixtral}};
// Properties that llama.cpp's networks of the other families lack.
constexpr Special kChecks[] = {
    {"gemma2", &checkGemma2}, {"gemma3_text", &checkGemma3}, {"olmo2", &checkOlmo2}, {"phi3", &checkPhi3}};

const Special* findSpecial(std::span<const Special> list, std::string_view type) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const Special& one) { return type == one.model_type; });
  return found == list.end() ? nullptr : &*found;
}

}  // namespace

void refuseForGguf(const std::string& what) {
  throw Error("config.json: " + what + ", which GGUF files of llama.cpp cannot say; choose another --format");
}

GgufNetwork readGgufNetwork(const std::string& config_json) {
  const Json json = readJsonText(config_json, "config.json", "the text", JsonNumbers::kPython);
  const std::string type = json.is_object() ? readText(json, "model_type", "") : "";
  GgufNetwork network;
  for (const GgufFamily& family : ggufFamilies()) {
    if (type == family.model_type) network.family = &family;
  }
  if (network.family == nullptr) {
    throw Error("config.json: model_type " + (type.empty() ? "is missing" : "is " + quoteText(type)) +
                "; --format gguf writes " + ggufFamilyNames());
  }
  if (const Special* const reader = findSpecial(kReaders, type)) {
    network.config.family = type;
    reader->read(json, network);
  } else {
    network.config = readConfig(config_json);
    if (const Special* const check = findSpecial(kChecks, type)) check->read(json, network);
  }
  if (network.config.activation != network.activation) {
    refuseForGguf(std::string("hidden_act is not ") +
                  (network.activation == NIB_ACTIVATION_SILU ? "silu" : "gelu_pytorch_tanh"));
  }
  return network;
}

}  // namespace nib::model
