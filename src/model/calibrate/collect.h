// Runs the collectors over recorded activations.
#ifndef NIB_MODEL_CALIBRATE_COLLECT_H
#define NIB_MODEL_CALIBRATE_COLLECT_H

#include "model/calibrate/calibration.h"
#include "model/calibrate/recording.h"

#include <nibble/kit.h>

#include <functional>

namespace nib::model {

struct CollectOptions {
  bool by_channel = false;
  uint64_t samples = 0;            // 0 = all sequences
  uint64_t sequence_length = 512;  // tokens
  uint64_t seed = 0;
  double ema_constant = 0.01;
  std::function<void(uint64_t bytes)> progress;  // may be empty; called with the size of each chunk
};

// Streams the recording through the histogram, min/max and moments ops. Memory use does not depend on the number of
// tokens: the histograms, and one chunk of at most 64 MB. Throws.
Collected collect(const kit::Device& device, const Recording& recording, const CollectOptions& options);

}  // namespace nib::model
#endif
