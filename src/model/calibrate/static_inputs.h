// Scales and zero points of static activations from CALIB.json.
#ifndef NIB_MODEL_CALIBRATE_STATIC_INPUTS_H
#define NIB_MODEL_CALIBRATE_STATIC_INPUTS_H

#include <nibble/formats.h>

#include "model/archive/container.h"
#include "model/calibrate/calibration.h"

#include <filesystem>
#include <map>
#include <string>

namespace nib::model {

// Returns the inputs keyed by module: a tensor named MODULE.input, or MODULE, belongs to MODULE. format:
// NIB_FORMAT_INT8 uses the scales of the file, NIB_FORMAT_FP8 computes scales from its ranges. Throws; also for ranges
// by channel, which loaders do not support, and for empty ranges.
std::map<std::string, StaticInput> staticInputs(const std::filesystem::path& calibration, uint32_t format);
// The same of what a file holds. where: begins the messages.
std::map<std::string, StaticInput> staticInputs(const Calibration& calibration, const std::string& where,
                                                uint32_t format);

// The input of the layer that this weight belongs to. Throws if there is none, or if it was calibrated with data of
// another width than the layer's.
const StaticInput& inputOf(const std::map<std::string, StaticInput>& inputs, const WeightSpec& weight);

// A hash of modules, scales and zero points, as 32 hexadecimal digits.
std::string inputsHash(const std::map<std::string, StaticInput>& inputs);

}  // namespace nib::model
#endif
