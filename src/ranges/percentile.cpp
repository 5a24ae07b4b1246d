// Percentiles of ONNX Runtime's PercentileCalibrater (onnxruntime/python/tools/quantization/calibrate.py,
// compute_percentile): numpy.searchsorted in numpy.cumsum(counts / total), with the additions in the same order.
#include "ranges/histogram_view.h"

namespace nib::ranges {
namespace {

// The first bin at which the cumulative share of the counts reaches `share`; `count` if none does.
template <class Counts>
uint32_t firstReaching(uint32_t count, Counts&& counts, double share) {
  double total = 0;
  for (uint32_t i = 0; i < count; ++i) total += double(counts(i));
  double reached = 0;
  for (uint32_t i = 0; i < count; ++i) {
    reached += double(counts(i)) / total;
    if (reached >= share) return i;
  }
  return count;
}

}  // namespace

void percentileSymmetric(const HistogramView& view, double percentile, NibRange* out) {
  const auto counts = [&](uint32_t k) { return view.magnitudeBin(k); };
  out->high_edge = int32_t(firstReaching(view.length, counts, percentile / 100.0));
  out->low_edge = -out->high_edge;
}

void percentileBothEnds(const HistogramView& view, double percentile, NibRange* out) {
  const auto counts = [&](uint32_t i) { return view.ascendingBin(i); };
  const double cut = (100.0 - percentile) / 200.0;
  const int32_t zero = int32_t(view.length);
  out->high_edge = int32_t(firstReaching(2 * view.length, counts, 1.0 - cut)) - zero;
  out->low_edge = int32_t(firstReaching(2 * view.length, counts, cut)) - zero;
}

}  // namespace nib::ranges
