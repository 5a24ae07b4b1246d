// OLMo 2: norms lie behind attention and the gated layers, and queries and keys are normed over all heads.
#include "model/arch/config.h"

namespace nib::model {

void readOlmo2(const Json& json, ModelConfig& config) {
  readShared(json, {50304, 4096, 11008, 32, 32, 0, 0, 2048, 1e-5, 1e4, false}, config);
  checkWholeHeads(config);
  config.query_bias = config.output_bias = readFlag(json, "attention_bias", false);
  config.query_norms = QueryNorms::kRows;
  config.norms_before = false;
  config.norms_after = true;
}

}  // namespace nib::model
