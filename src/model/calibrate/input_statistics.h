// Statistics of the inputs of a running network's linear layers, window by window: no activation is stored.
#ifndef NIB_MODEL_CALIBRATE_INPUT_STATISTICS_H
#define NIB_MODEL_CALIBRATE_INPUT_STATISTICS_H

#include "model/calibrate/linear_inputs.h"

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

class InputStatistics {
 public:
  // Taps the runner's body. runner: must outlive this. Throws.
  InputStatistics(Runner& runner, bool by_channel);
  ~InputStatistics();
  InputStatistics(const InputStatistics&) = delete;
  InputStatistics& operator=(const InputStatistics&) = delete;

  size_t size() const { return watched_.size(); }
  // The layers that read value i.
  const std::vector<std::string>& modules(size_t i) const { return watched_[i].input.modules; }
  // Runs tokens as one sequence, and adds their statistics. Throws.
  void run(std::span<const uint32_t> tokens);
  // Ends a batch of the moving averages.
  void endBatch(double ema_constant);
  // All statistics of value i so far; everything but `data`.
  void finish(size_t i, Collected& collected) const { watched_[i].collector.finish(collected); }

 private:
  struct Watched {
    LinearInput input;
    Collector collector;
  };
  Runner& runner_;
  std::deque<Watched> watched_;
};

}  // namespace nib::model
#endif
