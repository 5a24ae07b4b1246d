// The cells between the edges of a histogram's bins and of log-spaced bins (nibble/ranges.h), and what is found from
// them.
#ifndef NIB_RANGES_CELLS_H
#define NIB_RANGES_CELLS_H

#include "ranges/histogram_view.h"

namespace nib::ranges {

// Values of one sign, or magnitudes of both.
enum class Side { kNegative, kPositive, kBoth };

// Log-spaced counts, or none.
struct LogView {
  const uint64_t* zero = nullptr;  // the bin of zeros
  uint32_t bits = 0;
  uint32_t side = 0;               // bins of a sign
  uint32_t first = 1, length = 0;  // the bins with counts are within [first, length]

  LogView() = default;
  LogView(const uint64_t* counts, uint32_t mantissa_bits);

  uint64_t zeros() const { return zero != nullptr ? *zero : 0; }
  // Count of bin k >= 1 from zero outwards.
  uint64_t count(Side which, uint32_t k) const {
    const uint64_t positive = which != Side::kNegative ? zero[k] : 0;
    return which != Side::kPositive ? positive + zero[-int64_t(k)] : positive;
  }
  // Where bin k >= 1 begins.
  double edge(uint32_t k) const {
    const uint32_t steps = 1u << bits, at = k - 1;
    return std::ldexp(1.0 + double(at % steps) / steps, int(at / steps) - 126);
  }
};

struct Data {
  const HistogramView& view;
  const LogView& log;
};

// Magnitudes from low to high. Zeros are in no cell if there are log-spaced counts.
struct Cell {
  double low, high;
  uint64_t count;
};

// The cells of a side that have counts, from zero outwards.
class Cells {
 public:
  Cells(const Data& data, Side side);
  bool next(Cell* cell);

 private:
  double histogramEdge() const { return bin_ < data_.view.length ? data_.view.edge(int32_t(bin_) + 1) : HUGE_VAL; }
  double logEdge() const {
    return data_.log.zero != nullptr && log_bin_ <= data_.log.length + 1 ? data_.log.edge(log_bin_) : HUGE_VAL;
  }
  uint64_t histogramCount(uint32_t k) const;

  const Data& data_;
  const Side side_;
  double smallest_ = 0, largest_ = 0;   // magnitudes of the side's values
  double low_ = 0;                      // where the next cell begins
  uint64_t passed_ = 0;                 // counts below it
  uint32_t bin_ = 0, log_bin_ = 1;      // the bins whose upper, and lower, edges come next
  uint64_t bin_sum_ = 0, log_sum_ = 0;  // counts of the bins below these edges
};

// numpy's percentile; limits the range to the values. Sets the range.
void percentileOfCells(const Data& data, double percentile, bool symmetric, NibRange* out);
// The magnitude of rank kCoarseShare * (count - 1), rounded down; among those that are not 0 if it were 0.
double coarseMagnitude(const Data& data);
// Sets the range and the score.
void mseOfCells(const Data& data, bool symmetric, NibRange* out);

// A finer histogram made of cells, with NIB_HISTOGRAM_MAX_BINS bins.
struct FinerHistogram {
  NibHistogramHead head;
  uint64_t counts[NIB_HISTOGRAM_MAX_BINS];

  explicit FinerHistogram(const Data& data);
};

}  // namespace nib::ranges
#endif
