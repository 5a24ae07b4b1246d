#include "model/archive/gguf/network.h"

#include "model/archive/error.h"
#include "model/archive/json_document.h"

#include <algorithm>
#include <cmath>

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

// llama.cpp scales queries by the size of a head, in the largest model by hidden size over heads. Even layers have the
// window.
void readGemma2(const Json& given, GgufNetwork& network) {
  Json json = given;
  json["hidden_act"] = readText(given, "hidden_activation", "gelu_pytorch_tanh");
  ModelConfig& config = network.config;
  readShared(json, {256000, 2304, 9216, 26, 8, 4, 256, 8192, 1e-6, 1e4, true}, config);
  checkWholeHeads(config);
  if (!config.tied) refuseForGguf("the head is not tied to the embedding");
  if (readFlag(json, "attention_bias", false)) refuseForGguf("attention has biases");
  network.activation = NIB_ACTIVATION_GELU_TANH;
  network.attention_cap =
      float(readNumber(json, "attn_logit_softcapping", json.contains("attn_logit_softcapping") ? 0 : 50));
  network.output_cap =
      float(readNumber(json, "final_logit_softcapping", json.contains("final_logit_softcapping") ? 0 : 30));
  if (network.attention_cap <= 0 || network.output_cap <= 0) refuseForGguf("logits have no soft caps");
  constexpr uint32_t kLayersOfLargest = 46;
  const double scale = readNumber(json, "query_pre_attn_scalar", 256);
  const double expected = config.layers == kLayersOfLargest ? double(config.hidden) / config.heads : config.head_size;
  if (scale != expected) {
    refuseForGguf("query_pre_attn_scalar is not " + std::to_string(uint32_t(expected)));
  }
  const uint32_t window = 4096;
  network.window = readCount(json, "sliding_window", &window);
  network.applies_window = true;
  const Json types = json.contains("layer_types") ? json["layer_types"] : Json();
  for (uint32_t i = 0; i < config.layers; ++i) {
    const char* const type = i % 2 == 0 ? "sliding_attention" : "full_attention";
    if (!types.is_null() && (!types.is_array() || i >= types.size() || types[i] != type)) {
      refuseForGguf("layer_types does not have windows by turns");
    }
    config.window[i] = i % 2 == 0 ? *network.window : 0;
  }
}

void readPhi3(const Json& given, GgufNetwork& network) {
  Json json = given;
  if (!json.contains("original_max_position_embeddings")) json["original_max_position_embeddings"] = 4096;
  // Older files call the scaling so.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!json.contains(key) || !json[key].is_object() || !json[key].contains("short_factor")) continue;
    json[key]["rope_type"] = "longrope";
  }
  ModelConfig& config = network.config;
  readShared(json, {32064, 3072, 8192, 32, 32, 0, 0, 4096, 1e-5, 1e4, false}, config);
  if (config.head_size * config.heads != config.hidden)
    refuseForGguf("head_dim is not hidden_size / num_attention_heads");
  if (readFlag(json, "attention_bias", false)) refuseForGguf("attention has biases");
  const uint32_t no_window = 0;
  const uint32_t window = readCount(json, "sliding_window", &no_window);
  config.window.assign(config.layers, window);
  network.window = window;
}

struct Reader {
  const char* model_type;
  void (*read)(const Json& json, GgufNetwork& network);
};
// Families that nibble does not run. The others are read as those that it runs.
constexpr Reader kReaders[] = {{"mixtral", &readMixtral}, {"gemma2", &readGemma2}, {"phi3", &readPhi3}};

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
  const auto reader =
      std::find_if(std::begin(kReaders), std::end(kReaders), [&](const Reader& one) { return type == one.model_type; });
  if (reader == std::end(kReaders)) {
    network.config = readConfig(config_json);
  } else {
    network.config.family = type;
    reader->read(json, network);
  }
  if (network.config.activation != network.activation) {
    refuseForGguf(std::string("hidden_act is not ") +
                  (network.activation == NIB_ACTIVATION_SILU ? "silu" : "gelu_pytorch_tanh"));
  }
  return network;
}

}  // namespace nib::model
