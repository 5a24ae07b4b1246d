// Qwen2 and Qwen2.5: queries, keys and values have a bias; the later layers may have a window.
#include "model/arch/qwen.h"

#include "model/archive/error.h"

namespace nib::model {

void readQwenWindows(const Json& json, ModelConfig& config) {
  uint32_t window = 0, full_layers = 28;
  if (readFlag(json, "use_sliding_window", false)) {
    // A key with the value null means no window.
    const uint32_t fallback = json.contains("sliding_window") ? 0 : 4096;
    window = readCount(json, "sliding_window", &fallback);
  }
  full_layers = readCount(json, "max_window_layers", &full_layers);
  for (uint32_t i = full_layers; i < config.layers; ++i) config.window[i] = window;
  if (!json.contains("layer_types") || json["layer_types"].is_null()) return;
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

void readQwen2(const Json& json, ModelConfig& config) {
  readShared(json, {151936, 4096, 22016, 32, 32, 32, 0, 32768, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  config.query_bias = true;
  readQwenWindows(json, config);
}

}  // namespace nib::model
