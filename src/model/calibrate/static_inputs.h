// Scales of static activations from CALIB.json.
#ifndef NIB_MODEL_CALIBRATE_STATIC_INPUTS_H
#define NIB_MODEL_CALIBRATE_STATIC_INPUTS_H

#include <nibble/formats.h>

#include "model/archive/container.h"

#include <filesystem>
#include <map>
#include <string>

namespace nib::model {

// By module. format: NIB_FORMAT_INT8, whose scales are the file's, or NIB_FORMAT_FP8, whose follow from its ranges. A tensor
// named MODULE.input is of MODULE. Throws: ranges by channel, which loaders cannot run, or of nothing but zeros.
std::map<std::string, StaticInput> staticInputs(const std::filesystem::path& calibration, uint32_t format);

// What they are, in 32 digits.
std::string inputsHash(const std::map<std::string, StaticInput>& inputs);

}  // namespace nib::model
#endif
