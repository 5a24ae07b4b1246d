// The values that the linear layers of a running network read.
#ifndef NIB_MODEL_CALIBRATE_LINEAR_INPUTS_H
#define NIB_MODEL_CALIBRATE_LINEAR_INPUTS_H

#include "model/calibrate/collect.h"
#include "model/run/runner.h"

#include <string>
#include <vector>

namespace nib::model {

struct LinearInput {
  graph::ValueId value = graph::kNoValue;
  std::vector<std::string> modules;  // the layers that read it
  CollectedShape shape;
};

// The inputs of all linear layers of the blocks, each value once, in the order of the network.
std::vector<LinearInput> linearInputs(const Runner& runner);

}  // namespace nib::model
#endif
