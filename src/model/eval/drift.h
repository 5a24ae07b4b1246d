// Whether the inputs of a network's layers still have the distribution that they had when they were calibrated.
//
// The test compares distribution functions at quantiles of the calibration. Values of one text depend on each other, so
// the unit is the window. A layer's distance is the largest difference of the two functions over sqrt(p (1 - p)). Its
// chance is found by a bootstrap: windows are drawn with replacement, all layers together, and the largest distance of
// any layer from the mean, each over its layer's mean distance, is the measure (the single-step max-T procedure of
// Westfall and Young, 1993). So a probability is that of any layer being as far, if none has changed. Distances are
// widened for the calibration's own windows and for few windows, by Student's t.
#ifndef NIB_MODEL_EVAL_DRIFT_H
#define NIB_MODEL_EVAL_DRIFT_H

#include "model/calibrate/calibration.h"
#include "model/eval/evaluate.h"

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

inline constexpr double kDriftAlarm = 0.01;  // probability below which a layer has drifted
inline constexpr size_t kLeastDriftWindows = 8;

// Distribution functions of a layer at a few thresholds.
struct LayerSample {
  std::vector<double> before;                // of the calibration; from 0 to 1
  std::vector<std::vector<double>> windows;  // of each window
};
struct LayerDrift {
  double distance = 0;
  double probability = 1;  // of such a distance of any layer, if nothing has changed
};
// before_windows: how many windows of this length the calibration had; may be a fraction. All layers have as many
// windows, at least two.
std::vector<LayerDrift> testDrift(std::span<const LayerSample> layers, double before_windows);

struct InputDrift {
  std::vector<std::string> modules;  // that read this value
  double min = 0, max = 0;           // calibrated range
  double seen_min = 0, seen_max = 0;
  double outside = 0;  // share of values outside of the calibrated range
  LayerDrift drift;
  bool drifted() const { return drift.probability < kDriftAlarm; }
};
struct DriftReport {
  std::vector<InputDrift> inputs;  // in the order of the network
  size_t windows = 0;
};
// Runs the model on the windows of the text. Throws; also if the calibration lacks a layer, has ranges by channel, or
// has no log-spaced counts, or if there are fewer windows than kLeastDriftWindows.
DriftReport measureDrift(Runner& runner, const Calibration& calibration, std::span<const uint32_t> ids,
                         const EvalOptions& options, const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
