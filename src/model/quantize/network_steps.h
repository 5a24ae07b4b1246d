// The steps of quantizing that run the network on the calibration set.
#ifndef NIB_MODEL_QUANTIZE_NETWORK_STEPS_H
#define NIB_MODEL_QUANTIZE_NETWORK_STEPS_H

#include "model/calibrate/static_inputs.h"
#include "model/quantize/gptq/store.h"
#include "model/quantize/quantize_plan.h"
#include "model/transform/apply.h"

namespace nib::model {

// Quantizes the layers of the network's blocks with GPTQ, and leaves their blobs in the store.
void runGptq(const TimedDevice& device, const ModelView& view, const QuantizePlan& plan, const QuantizeOptions& options,
             const BlobStore& store, BlockTimes* times);

// planOf: the plan for a model.
TransformRun transformRun(const QuantizeOptions& options, std::function<QuantizePlan(const ModelView&)> planOf);

// The ranges of the inputs of a model's linear layers on the calibration set.
std::map<std::string, StaticInput> calibrateInputs(const TimedDevice& device, const ModelView& view,
                                                   const QuantizeOptions& options);

}  // namespace nib::model
#endif
