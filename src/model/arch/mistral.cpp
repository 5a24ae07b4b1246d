// Mistral: all layers have the same window.
#include "model/arch/config.h"

namespace nib::model {

void readMistral(const Json& json, ModelConfig& config) {
  readShared(json, {32000, 4096, 14336, 32, 32, 8, 0, 131072, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  config.window.assign(config.layers, readWindow(json, 4096));
}

}  // namespace nib::model
