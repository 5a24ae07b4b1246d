// Gemma 3, and the language model of files that also have one of images: heads are normed; most layers have a window,
// and a rotary embedding of their own.
#include "model/arch/gemma.h"

namespace nib::model {
namespace {

// config.json with the keys of the rotary embedding as other families have them, for layers with or without a window.
Json ropeOf(const Json& given, bool windowed) {
  Json json = given;
  json.erase("rope_scaling");
  json.erase("rope_parameters");
  const auto holds = [&](const char* key) { return given.contains(key) && !given[key].is_null(); };
  if (windowed) {
    json.erase("rope_theta");
    if (holds("rope_local_base_freq")) json["rope_theta"] = given["rope_local_base_freq"];
  }
  Json parameters = Json::object();
  if (holds("rope_parameters")) {
    const Json& both = given["rope_parameters"];
    if (!both.is_object()) refuseKey("rope_parameters", "must be an object or null");
    for (const char* type : {"full_attention", "sliding_attention"}) {
      if (!both.contains(type) || !both[type].is_object()) {
        refuseKey("rope_parameters", "must have full_attention and sliding_attention");
      }
    }
    parameters = both[windowed ? "sliding_attention" : "full_attention"];
  }
  if (!windowed && holds("rope_scaling")) {
    if (!given["rope_scaling"].is_object()) refuseKey("rope_scaling", "must be an object or null");
    parameters.update(given["rope_scaling"]);
  }
  if (!parameters.empty()) json["rope_parameters"] = parameters;
  return json;
}

}  // namespace

void readGemma3Text(const Json& given, ModelConfig& config) {
  readGemma(ropeOf(given, false), {262208, 2304, 9216, 26, 8, 4, 256, 131072, 1e-6, 1e6, true}, 0, 0, config);
  // transformers reads the key and does nothing with it.
  if (config.attention_cap != 0) refuseKey("attn_logit_softcapping", "is not null, as it is in models of type gemma3");
  config.query_norms = QueryNorms::kHeads;
  config.window_rope.emplace();
  config.window_rope->max_positions = config.max_positions;
  readRope(ropeOf(given, true), 1e4, 1, *config.window_rope, config.head_size);
  checkWholeHeads(config);
  constexpr uint32_t kPattern = 6;
  const uint32_t window = readWindow(given, 4096);
  const uint32_t pattern = readCount(given, "sliding_window_pattern", &kPattern);
  if (pattern == 0) refuseKey("sliding_window_pattern", "must be at least 1");
  readLayerTypes(
      given, window, [=](uint32_t layer) { return (layer + 1) % pattern != 0; }, config);
}

void readGemma3(const Json& json, ModelConfig& config) {
  if (!json.contains("text_config") || !json["text_config"].is_object()) refuseKey("text_config", "is missing");
  readGemma3Text(json["text_config"], config);
  config.tied = readFlag(json, "tie_word_embeddings", config.tied);
  config.other_parts = {"vision_tower.", "multi_modal_projector.", "model.vision_tower.",
                        "model.multi_modal_projector."};
}

}  // namespace nib::model
