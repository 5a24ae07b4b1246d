// How products are cut fastest on a device: choices for a tuning file.
#ifndef NIB_BENCH_TUNE_H
#define NIB_BENCH_TUNE_H

#include <nibble/kit.h>

#include "bench/suite.h"

#include <functional>

namespace nib::bench {

struct TuneOptions {
  std::vector<std::string> types;  // names of suiteTypes(); none = all
  std::optional<Shape> shape;      // M and K of the weights; none = 4096 x 4096. Tokens are the tuner's
  double seconds = 0.1;            // for a candidate
  uint64_t rotation_bytes = 0;     // 0 = as bench has it
  std::vector<uint32_t> tokens = {1, 2, 4, 8, 64};
  std::function<void(size_t done, size_t count, const std::string& name)> progress;
};

struct TuneStep {
  NibTuning best;  // its values; of no effect where faster is false
  std::string type;
  double usual_us = 0;  // as limits alone have it
  double best_us = 0;
  uint32_t candidates = 0;
  bool faster = false;  // by more than the noise
};

struct TuneResult {
  std::vector<NibTuning> tuning;  // of the steps that are faster
  std::vector<TuneStep> steps;
  std::vector<std::string> failures;  // candidates that were wrong, or could not be planned
};

// Every candidate is verified before it is timed. Throws kit::Error; needs a Vulkan device.
TuneResult tune(const kit::Device& device, const TuneOptions& options);

}  // namespace nib::bench
#endif
