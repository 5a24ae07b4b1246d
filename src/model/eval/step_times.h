// How long steps of a model take, one by one.
#ifndef NIB_MODEL_EVAL_STEP_TIMES_H
#define NIB_MODEL_EVAL_STEP_TIMES_H

#include "model/run/runner.h"

#include <cstdint>
#include <span>
#include <vector>

namespace nib::model {

struct StepTimes {
  uint32_t tokens = 1;          // of a step
  std::vector<double> seconds;  // of each step, ascending

  double percentile(double percent) const;  // the nearest rank
  double tokensPerSecond() const;           // of all steps together
};

// A step has the network, the head of its last token, and the choice of the most likely next one. Steps go on for about
// two seconds, up to 256 of them; at least 16 of one token and 3 of a window. Both throw.
// Steps of one token, after the first half of the window.
StepTimes timeDecode(Runner& runner, std::span<const uint32_t> window);
// Steps of the whole window.
StepTimes timePrefill(Runner& runner, std::span<const uint32_t> window);

}  // namespace nib::model
#endif
