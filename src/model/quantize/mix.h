// The types that a mix of llama-quantize gives the tensors of a model.
#ifndef NIB_MODEL_QUANTIZE_MIX_H
#define NIB_MODEL_QUANTIZE_MIX_H

#include "model/archive/gguf/mix.h"
#include "model/decode.h"
#include "model/quantize/selection.h"

namespace nib::model {

// By the name of the tensor. importance: whether there is an importance matrix. Throws; also for a model that is not
// written as GGUF, and for types that this build does not have.
ChosenTypes chooseMix(const GgufMix& mix, const ModelView& view, bool importance);

}  // namespace nib::model
#endif
