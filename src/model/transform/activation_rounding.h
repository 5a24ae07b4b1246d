// Activations as a loader quantizes them, on the host, to measure what that loses.
#ifndef NIB_MODEL_TRANSFORM_ACTIVATION_ROUNDING_H
#define NIB_MODEL_TRANSFORM_ACTIVATION_ROUNDING_H

#include "model/archive/container.h"

#include <cstdint>
#include <span>

namespace nib::model {

// Rounds rows of `cols` values in place. absmax: the largest magnitude over the calibration set, of static schemes.
void roundActivations(Activations scheme, std::span<float> values, uint32_t cols, float absmax);

}  // namespace nib::model
#endif
