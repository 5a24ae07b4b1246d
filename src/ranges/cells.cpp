#include "ranges/cells.h"

#include <initializer_list>

namespace nib::ranges {

LogView::LogView(const uint64_t* counts, uint32_t mantissa_bits)
    : zero(counts + NIB_LOG_HISTOGRAM_SIDE(mantissa_bits)),
      bits(mantissa_bits),
      side(NIB_LOG_HISTOGRAM_SIDE(mantissa_bits)),
      length(side) {
  while (length > 0 && count(Side::kBoth, length) == 0) --length;
  while (first < length && count(Side::kBoth, first) == 0) ++first;
}

Cells::Cells(const Data& data, Side side) : data_(data), side_(side), log_bin_(data.log.first) {
  const double low = data.view.head->min, high = data.view.head->max;
  switch (side) {
    case Side::kPositive: smallest_ = std::fmax(low, 0.0), largest_ = std::fmax(high, 0.0); break;
    case Side::kNegative: smallest_ = std::fmax(-high, 0.0), largest_ = std::fmax(-low, 0.0); break;
    case Side::kBoth: smallest_ = std::fmax(std::fmax(low, -high), 0.0), largest_ = data.view.absmax(); break;
  }
}

// Zeros are in the positive bin at zero.
uint64_t Cells::histogramCount(uint32_t k) const {
  const HistogramView& view = data_.view;
  if (side_ == Side::kNegative) return view.ascendingBin(view.length - 1 - k);
  const uint64_t count = side_ == Side::kBoth ? view.magnitudeBin(k) : view.ascendingBin(view.length + k);
  const uint64_t zeros = k == 0 ? data_.log.zeros() : 0;
  return count > zeros ? count - zeros : 0;
}

bool Cells::next(Cell* cell) {
  for (;;) {
    const double histogram_edge = histogramEdge(), log_edge = logEdge();
    const double edge = std::fmin(histogram_edge, log_edge);
    if (edge == HUGE_VAL) return false;
    uint64_t below = passed_;
    if (histogram_edge == edge) {
      bin_sum_ += histogramCount(bin_++);
      below = bin_sum_;
    }
    if (log_edge == edge) {
      if (log_bin_ > data_.log.first) log_sum_ += data_.log.count(side_, log_bin_ - 1);
      ++log_bin_;
      below = log_sum_;
    }
    const double low = low_;
    low_ = edge;
    if (below <= passed_) continue;
    *cell = {std::fmin(std::fmax(low, smallest_), largest_), std::fmin(edge, largest_), below - passed_};
    cell->high = std::fmax(cell->low, cell->high);
    passed_ = below;
    return true;
  }
}

FinerHistogram::FinerHistogram(const Data& data) : head(*data.view.head), counts{} {
  constexpr uint32_t kSide = NIB_HISTOGRAM_MAX_BINS / 2;
  // The least power of two from twice the percentile on is 2^(exponent - 126).
  int exponent;
  const double fraction = std::frexp(2 * coarseMagnitude(data), &exponent);
  if (fraction == 0.5) --exponent;
  head.exponent = uint32_t(std::fmax(1, std::fmin(254, exponent + 126)));
  const double width = std::ldexp(1.0, int(head.exponent) - 126) / kSide;
  counts[kSide] = data.log.zeros();
  for (const Side side : {Side::kNegative, Side::kPositive}) {
    Cells cells(data, side);
    for (Cell cell; cells.next(&cell);) {
      // Up to each edge the part of the count that is below it, rounded, so that nothing is lost.
      uint32_t k = cell.low < width * kSide ? uint32_t(cell.low / width) : kSide - 1;
      for (uint64_t given = 0;; ++k) {
        uint64_t& bin = counts[side == Side::kNegative ? kSide - 1 - k : kSide + k];
        const double upper = (k + 1) * width;
        if (k == kSide - 1 || upper >= cell.high) {
          bin += cell.count - given;
          break;
        }
        const double share = std::floor(double(cell.count) * ((upper - cell.low) / (cell.high - cell.low)) + 0.5);
        const uint64_t below = share < double(cell.count) ? uint64_t(share) : cell.count;
        if (below > given) bin += below - given, given = below;
      }
    }
  }
}

}  // namespace nib::ranges
