// The error of a quantized matrix, weighed by the inputs of its layer: tr(D H D^T) of the differences D and the
// Hessian H, which is the mean squared error of the layer's output, summed over its channels.
#ifndef NIB_MODEL_MIXED_WEIGHTED_ERROR_H
#define NIB_MODEL_MIXED_WEIGHTED_ERROR_H

#include "model/blocks/hessian_sum.h"
#include "model/timed_device.h"

#include <cstdint>
#include <span>

namespace nib::model {

// difference: [rows, hessian.cols()]. Throws.
double weightedError(const TimedDevice& device, const HessianSum& hessian, std::span<const float> difference,
                     uint32_t rows);

}  // namespace nib::model
#endif
