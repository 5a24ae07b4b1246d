// Qwen3: heads of queries and keys are normed before they are rotated.
#include "model/arch/qwen.h"

namespace nib::model {

void readQwen3(const Json& json, ModelConfig& config) {
  readShared(json, {151936, 4096, 22016, 32, 32, 32, 128, 32768, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  config.query_bias = config.output_bias = readFlag(json, "attention_bias", false);
  config.query_norms = QueryNorms::kHeads;
  readQwenWindows(json, config);
}

}  // namespace nib::model
