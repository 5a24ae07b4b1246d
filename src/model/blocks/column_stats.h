// What the inputs of linear layers are like, column by column.
#ifndef NIB_MODEL_BLOCKS_COLUMN_STATS_H
#define NIB_MODEL_BLOCKS_COLUMN_STATS_H

#include "model/timed_device.h"

#include <nibble/graph.h>

#include <cstdint>
#include <vector>

namespace nib::model {

class ColumnStats {
 public:
  // Adds the first `tokens` rows of a value of fp32, fp16 or bfloat16. Throws.
  void add(const TimedDevice& device, const graph::Value& value, const kit::Range& range, uint32_t tokens);
  uint64_t tokens() const { return tokens_; }
  // By column. Values that are not finite count as 0.
  std::vector<double> means() const;     // of x
  std::vector<double> absMeans() const;  // of |x|
  const std::vector<float>& absMax() const { return abs_max_; }

 private:
  uint64_t tokens_ = 0;
  std::vector<double> sums_, abs_sums_;
  std::vector<float> abs_max_;
};

}  // namespace nib::model
#endif
