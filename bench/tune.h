// Finds the fastest tuning of products for a device.
#ifndef NIB_BENCH_TUNE_H
#define NIB_BENCH_TUNE_H

#include <nibble/kit.h>

#include "bench/suite.h"

#include <functional>

namespace nib::bench {

struct TuneOptions {
  std::vector<std::string> types;  // names of suiteTypes(); none = all
  std::optional<Shape> shape;      // M and K of the weights; none = 4096 x 4096. N is ignored, see `tokens`
  double seconds = 0.1;            // per candidate
  uint64_t rotation_bytes = 0;     // 0 = as in the bench
  std::vector<uint32_t> tokens = {1, 2, 4, 8, 64};
  std::function<void(size_t done, size_t count, const std::string& name)> progress;
};

struct TuneStep {
  NibTuning best;  // the fastest candidate; its values are meaningless if none was faster
  std::string type;
  double usual_us = 0;  // time without a tuning for this step
  double best_us = 0;
  uint32_t candidates = 0;
  bool faster = false;  // `best` is faster than usual by more than the noise
};

struct TuneResult {
  std::vector<NibTuning> tuning;  // of the steps that are faster
  std::vector<TuneStep> steps;
  std::vector<std::string> failures;  // candidates that gave wrong results or could not be planned
};

// Every candidate is verified before it is timed. Throws kit::Error; needs a Vulkan device.
TuneResult tune(const kit::Device& device, const TuneOptions& options);

}  // namespace nib::bench
#endif
