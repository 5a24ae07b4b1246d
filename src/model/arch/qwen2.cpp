// Qwen2 and Qwen2.5: queries, keys and values have a bias; the later layers may have a window.
#include "model/arch/qwen.h"

namespace nib::model {

void readQwenWindows(const Json& json, ModelConfig& config) {
  if (!readFlag(json, "use_sliding_window", false)) return;
  const uint32_t usual_window = 4096, usual_layers = 28;
  const uint32_t window = readCount(json, "sliding_window", &usual_window);
  const uint32_t full_layers = readCount(json, "max_window_layers", &usual_layers);
  for (uint32_t i = full_layers; i < config.layers; ++i) config.window[i] = window;
}

void readQwen2(const Json& json, ModelConfig& config) {
  readShared(json, {151936, 4096, 22016, 32, 32, 32, 0, 32768, 1e-6, 1e4, false}, config);
  config.query_bias = true;
  readQwenWindows(json, config);
}

}  // namespace nib::model
