// The threshold of TensorRT's entropy calibration as in NVIDIA's Model-Optimizer
// (modelopt/torch/quantization/calib/histogram.py, _compute_amax_entropy), for |x| and codes of 8 bits.
#include "ranges/histogram_view.h"

namespace nib::ranges {
namespace {

// The original replaces the count of the bin at zero by that of its neighbour.
double countAt(const HistogramView& view, uint32_t k) { return double(view.magnitudeBin(k == 0 ? 1 : k)); }

// Kullback-Leibler divergence, in nats, of the first `size` bins, the last of them plus `beyond`, from the same bins
// averaged over kLevels cells of equal width. beyond: counts of the bins after them.
double divergence(const HistogramView& view, uint32_t size, double beyond) {
  double inside = 0;
  for (uint32_t k = 0; k < size; ++k) inside += countAt(view, k);
  const double total_p = inside + beyond;
  double sum = 0;
  // Bin k belongs to cell floor(k * kLevels / size).
  for (uint32_t first = 0; first < size;) {
    const uint32_t cell = uint32_t(uint64_t(first) * kLevels / size);
    uint32_t end = first;
    double counts = 0;
    uint32_t filled = 0;
    for (; end < size && uint32_t(uint64_t(end) * kLevels / size) == cell; ++end) {
      const double count = countAt(view, end);
      counts += count;
      filled += count != 0 ? 1u : 0u;
    }
    for (uint32_t k = first; k < end; ++k) {
      const double count = countAt(view, k);
      const double p = count + (k + 1 == size ? beyond : 0.0);
      if (p == 0) continue;
      if (count == 0) return HUGE_VAL;  // counts from beyond, in a bin where the candidate is 0
      sum += p / total_p * std::log((p / total_p) / (counts / filled / inside));
    }
    first = end;
  }
  return sum;
}

}  // namespace

void entropyTrt(const HistogramView& view, NibRange* out) {
  double beyond = 0;
  for (uint32_t k = kLevels; k < view.length; ++k) beyond += countAt(view, k);
  out->score = HUGE_VAL;
  for (uint32_t size = kLevels; size <= view.length; ++size) {
    const double score = divergence(view, size, beyond);
    if (score <= out->score) {
      out->score = score;
      out->high_edge = int32_t(size);
    }
    if (size < view.length) beyond -= countAt(view, size);
  }
  out->low_edge = -out->high_edge;
}

}  // namespace nib::ranges
