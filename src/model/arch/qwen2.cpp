// Qwen2 and Qwen2.5: queries, keys and values have a bias; the later layers may have a window.
#include "model/arch/qwen.h"

namespace nib::model {

void readQwenWindows(const Json& json, ModelConfig& config) {
  uint32_t window = 0, full_layers = 28;
  if (readFlag(json, "use_sliding_window", false)) window = readWindow(json, 4096);
  full_layers = readCount(json, "max_window_layers", &full_layers);
  readLayerTypes(
      json, window, [=](uint32_t layer) { return layer >= full_layers; }, config);
}

void readQwen2(const Json& json, ModelConfig& config) {
  readShared(json, {151936, 4096, 22016, 32, 32, 32, 0, 32768, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  config.query_bias = true;
  readQwenWindows(json, config);
}

}  // namespace nib::model
