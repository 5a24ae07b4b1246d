// Llama 1 to 3.x, TinyLlama, SmolLM and other models of type "llama".
#include "model/arch/config.h"

namespace nib::model {

void readLlama(const Json& json, ModelConfig& config) {
  readShared(json, {32000, 4096, 11008, 32, 32, 0, 0, 2048, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  config.query_bias = config.output_bias = readFlag(json, "attention_bias", false);
  config.inner_bias = readFlag(json, "mlp_bias", false);
}

}  // namespace nib::model
