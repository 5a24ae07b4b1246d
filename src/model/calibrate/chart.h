// A self-contained HTML page with the histograms of a calibration and the ranges of each method.
#ifndef NIB_MODEL_CALIBRATE_CHART_H
#define NIB_MODEL_CALIBRATE_CHART_H

#include "model/calibrate/calibration.h"

#include <string>

namespace nib::model {

// Returns the HTML text, with one inline SVG per tensor. `title` is plain text and is escaped.
std::string calibrationPage(const Calibration& calibration, const std::string& title);

}  // namespace nib::model
#endif
