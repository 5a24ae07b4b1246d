// The loss of a model by the bits of its weights, as it typically is.
#ifndef NIB_MODEL_SUGGEST_TYPICAL_LOSS_H
#define NIB_MODEL_SUGGEST_TYPICAL_LOSS_H

namespace nib::model {

// Mean KL divergence in nats per token of rounding to nearest: that of the sample model (docs/accuracy.md), of which
// larger models lose less. bits: per weight, scales included.
double typicalLoss(double bits);

// Which part of that remains with GPTQ.
double gptqShare(double bits);

}  // namespace nib::model
#endif
