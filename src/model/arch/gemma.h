// Shared by the Gemma families.
#ifndef NIB_MODEL_ARCH_GEMMA_H
#define NIB_MODEL_ARCH_GEMMA_H

#include "model/arch/config.h"

namespace nib::model {

// Norms before and after attention and the gated layers, with 1 + weight; an embedding that is scaled; soft caps, with
// these where the file lacks the keys. json: has the keys of the rotary embedding as other families have them.
void readGemma(const Json& json, const Defaults& defaults, double attention_cap, double logit_cap, ModelConfig& config);

}  // namespace nib::model
#endif
