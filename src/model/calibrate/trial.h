// What int8 codes of a range lose on the data itself.
#ifndef NIB_MODEL_CALIBRATE_TRIAL_H
#define NIB_MODEL_CALIBRATE_TRIAL_H

#include "model/calibrate/calibration.h"
#include "model/calibrate/recording.h"

#include <nibble/kit.h>

namespace nib::model {

// Of all tokens of the recording, quantized with one scale and dequantized on the device. Throws.
NibErrors tryRange(const kit::Device& device, const Recording& recording, const ChosenRange& range, bool symmetric);

// The share of finite values below min or above max, by the histogram: of the bin that an end lies in, the part beyond it.
double clippedShare(const Histogram& histogram, uint32_t bins, const ChosenRange& range);

}  // namespace nib::model
#endif
