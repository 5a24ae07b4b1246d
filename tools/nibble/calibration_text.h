// Prints calibrations.
#ifndef NIB_TOOLS_CALIBRATION_TEXT_H
#define NIB_TOOLS_CALIBRATION_TEXT_H

#include "model/calibrate/calibration.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace nib::tool {

// The range of each tensor, or the first of its channels, by name.
nlohmann::ordered_json rangesJson(const model::Calibration& calibration);

// Prints a table with one line per tensor.
void printCalibration(std::FILE* file, const model::Calibration& calibration);

}  // namespace nib::tool
#endif
