// Inputs at the edges of what a model takes.
#ifndef NIB_MODEL_EVAL_EDGES_H
#define NIB_MODEL_EVAL_EDGES_H

#include "model/run/runner.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct EdgeInput {
  std::string name;
  bool passed = false;
  std::string result;
};

struct EdgeReport {
  std::vector<EdgeInput> inputs;
  // The first value that is not finite, in the order of the inputs and of the network; "" if all are.
  std::string nonfinite;
  std::string nonfinite_input;
};

// Runs one token, the whole window and a window of one token repeated: every value of the network must be finite. A
// token beyond the vocabulary and an empty input must be refused, and leave the next result as it was. Throws.
EdgeReport checkEdges(Runner& runner, std::span<const uint32_t> window);

}  // namespace nib::model
#endif
