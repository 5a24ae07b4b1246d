// Collects statistics of activations on a device.
#ifndef NIB_MODEL_CALIBRATE_COLLECT_H
#define NIB_MODEL_CALIBRATE_COLLECT_H

#include "model/calibrate/calibration.h"
#include "model/calibrate/recording.h"

#include <nibble/kit.h>

#include <functional>
#include <memory>
#include <string>

namespace nib::model {

struct CollectOptions {
  bool by_channel = false;
  uint64_t samples = 0;            // 0 = all sequences
  uint64_t sequence_length = 512;  // tokens
  uint64_t seed = 0;
  double ema_constant = 0.01;
  std::function<void(uint64_t bytes)> progress;  // may be empty; called with the size of each chunk
};

struct CollectedShape {
  std::string name;   // for messages
  uint32_t rows = 0;  // of a run, at most
  uint32_t channels = 0;
  uint32_t type = NIB_TYPE_F32;
  uint32_t stride = 0;  // elements from row to row; 0 = channels
};

// The histogram, log-spaced counts, min/max and moments of a stream of rows that pass through one range of device
// memory.
class Collector {
 public:
  // Throws.
  Collector(const kit::Device& device, const CollectedShape& shape, bool by_channel, const kit::Range& input);
  ~Collector();
  Collector(Collector&&) noexcept;
  // Calls `run` with each binding that has to run for the rows in the range, in any order.
  void run(const std::function<void(const kit::Binding&)>& run) const;
  // Reads the results for these rows. Call it before the next run.
  void read(uint32_t rows);
  // Ends a batch of the moving averages.
  void endBatch(double ema_constant);
  // Everything but `data`.
  void finish(Collected& collected) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Streams the recording through the ops that collect statistics. Memory use does not depend on the number of
// tokens: the histograms, and one chunk of at most 64 MB. Throws.
Collected collect(const kit::Device& device, const Recording& recording, const CollectOptions& options);

}  // namespace nib::model
#endif
