// The mean squares of the inputs of linear layers: the diagonal of H = X^T X, which says how much a column matters.
#ifndef NIB_MODEL_CALIBRATE_SQUARES_H
#define NIB_MODEL_CALIBRATE_SQUARES_H

#include "model/calibrate/collect.h"
#include "model/run/runner.h"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct InputSquares {
  std::vector<double> sums;  // of each column, over all tokens
  uint64_t tokens = 0;
};

struct CollectedSquares {
  std::map<std::string, InputSquares> inputs;  // by module
  uint64_t sequences = 0;
};

// Runs sequences of the ids, chosen as those of a recording are, and sums the squares of the inputs of every linear
// layer of the blocks. runner: its steps hold a sequence. progress: called with the tokens done and all of them.
// Throws; also for inputs that are NaN or infinite.
CollectedSquares collectSquares(Runner& runner, std::span<const uint32_t> ids, const CollectOptions& options,
                                const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
