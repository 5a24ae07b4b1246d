// Prints calibrations.
#ifndef NIB_TOOLS_CALIBRATION_TEXT_H
#define NIB_TOOLS_CALIBRATION_TEXT_H

#include "model/calibrate/calibration.h"

#include <cstdio>

namespace nib::tool {

// Prints a table with one line per tensor.
void printCalibration(std::FILE* file, const model::Calibration& calibration);

}  // namespace nib::tool
#endif
