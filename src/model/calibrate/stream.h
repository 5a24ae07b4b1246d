// Statistics of the inputs of a network's linear layers, collected while the network runs.
#ifndef NIB_MODEL_CALIBRATE_STREAM_H
#define NIB_MODEL_CALIBRATE_STREAM_H

#include "model/calibrate/collect.h"
#include "model/run/runner.h"

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>

namespace nib::model {

// Runs sequences of the ids, chosen as those of a recording are, and collects the inputs of every linear layer of the
// blocks through taps: no activation is stored. Keys are names of modules with ".input". runner: its steps hold a
// sequence. progress: called with the tokens done and all of them. Throws.
std::map<std::string, Collected> collectInputs(Runner& runner, std::span<const uint32_t> ids,
                                               const CollectOptions& options,
                                               const std::function<void(uint64_t done, uint64_t all)>& progress);

}  // namespace nib::model
#endif
