// Mixtral: Mistral with a mixture of experts in every block.
#include "model/arch/config.h"

namespace nib::model {

void readMixtral(const Json& json, ModelConfig& config) {
  readShared(json, {32000, 4096, 14336, 32, 32, 8, 0, 131072, 1e-5, 1e6, false}, config);
  checkWholeHeads(config);
  config.window.assign(config.layers, readWindow(json, 0));
  ExpertsConfig& experts = config.experts;
  const uint32_t usual_count = 8, usual_chosen = 2;
  experts.count = readCount(json, "num_local_experts", &usual_count);
  experts.chosen = readCount(json, "num_experts_per_tok", &usual_chosen);
  experts.inner = config.inner;
  experts.normalized = true;
  experts.mixtral_names = true;
  experts.layers.assign(config.layers, true);
  checkExperts(config);
}

}  // namespace nib::model
