// Measures the errors of a range on the recorded data.
#ifndef NIB_MODEL_CALIBRATE_TRIAL_H
#define NIB_MODEL_CALIBRATE_TRIAL_H

#include "model/calibrate/calibration.h"
#include "model/calibrate/recording.h"

#include <nibble/kit.h>

namespace nib::model {

// Quantizes all tokens of the recording to int8 with the scale of the range, dequantizes them and returns the errors.
// Throws.
NibErrors tryRange(const kit::Device& device, const Recording& recording, const ChosenRange& range, bool symmetric);

}  // namespace nib::model
#endif
