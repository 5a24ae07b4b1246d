// A caller's NibRangeData, checked and copied.
#ifndef NIB_RANGES_RANGE_DATA_H
#define NIB_RANGES_RANGE_DATA_H

#include "base/log.h"
#include "ranges/cells.h"

namespace nib::ranges {

struct RangeData {
  NibRangeData data;

  HistogramView view() const { return {data.bins, data.histogram_flags, data.head, data.counts}; }
  LogView logCounts() const {
    return data.log_counts != nullptr ? LogView(data.log_counts, data.mantissa_bits) : LogView();
  }
  // No finite values, or zeros only.
  bool empty() const { return data.head->exponent == 0 || data.head->finite_count == 0; }
};

// Messages start with `what`.
NibResult readRangeData(const char* what, const NibRangeData& data, const Log& log, RangeData* out);

}  // namespace nib::ranges
#endif
