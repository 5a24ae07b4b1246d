// The parts of the output that are not tensors.
#ifndef NIB_MODEL_QUANTIZE_OUTPUT_SETUP_H
#define NIB_MODEL_QUANTIZE_OUTPUT_SETUP_H

#include "model/archive/model_writer.h"
#include "model/quantize/quantize_plan.h"

namespace nib::model {

WriterOptions writerOptions(const QuantizeOptions& options, const Checkpoint& checkpoint);

// The files that are written besides the tensors.
Surroundings surroundingsOf(const QuantizePlan& plan, const QuantizeOptions& options, const Checkpoint& checkpoint);

}  // namespace nib::model
#endif
