// Mistral: all layers have the same window.
#include "model/arch/config.h"

namespace nib::model {

void readMistral(const Json& json, ModelConfig& config) {
  readShared(json, {32000, 4096, 14336, 32, 32, 8, 0, 131072, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  // A key with the value null means no window; the class default holds only where the key is missing.
  const uint32_t fallback = json.contains("sliding_window") ? 0 : 4096;
  config.window.assign(config.layers, readCount(json, "sliding_window", &fallback));
}

}  // namespace nib::model
