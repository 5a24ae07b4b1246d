// Statistics of the inputs of linear layers, column by column.
#ifndef NIB_MODEL_BLOCKS_COLUMN_STATS_H
#define NIB_MODEL_BLOCKS_COLUMN_STATS_H

#include "model/timed_device.h"

#include <nibble/graph.h>

#include <cstdint>
#include <vector>

namespace nib::model {

class ColumnStats {
 public:
  ColumnStats() = default;
  // Also keeps `samples` rows, or all if there are fewer, spread evenly over all_tokens.
  ColumnStats(uint32_t samples, uint64_t all_tokens) : samples_(samples), all_tokens_(all_tokens) {}
  // Adds the first `tokens` rows of a value of fp32, fp16 or bfloat16. Throws.
  void add(const TimedDevice& device, const graph::Value& value, const kit::Range& range, uint32_t tokens);
  uint64_t tokens() const { return tokens_; }
  // By column. Values that are not finite count as 0.
  std::vector<double> means() const;     // of x
  std::vector<double> absMeans() const;  // of |x|
  const std::vector<float>& absMax() const { return abs_max_; }
  // The same of the rows that were not kept: what is found with it can be tried on those that were.
  const std::vector<float>& absMaxOfOthers() const { return abs_max_of_others_; }
  // The rows that were kept.
  const std::vector<float>& sample() const { return sample_; }

 private:
  uint32_t samples_ = 0, sampled_ = 0;
  uint64_t all_tokens_ = 0, tokens_ = 0;
  std::vector<double> sums_, abs_sums_;
  std::vector<float> abs_max_, abs_max_of_others_, sample_;
};

}  // namespace nib::model
#endif
