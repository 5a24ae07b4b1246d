// Histograms and the ranges of each method, as one page without anything from elsewhere.
#ifndef NIB_MODEL_CALIBRATE_CHART_H
#define NIB_MODEL_CALIBRATE_CHART_H

#include "model/calibrate/calibration.h"

#include <string>

namespace nib::model {

// The text of an HTML file with a drawing (inline SVG) for each tensor. `title` is plain text.
std::string calibrationPage(const Calibration& calibration, const std::string& title);

}  // namespace nib::model
#endif
