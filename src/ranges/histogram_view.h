// A histogram as the range methods read it: up to the last bin with a count, by magnitude or in ascending order.
#ifndef NIB_RANGES_HISTOGRAM_VIEW_H
#define NIB_RANGES_HISTOGRAM_VIEW_H

#include <nibble/nibble.h>

#include <cmath>

namespace nib::ranges {

// Quantization levels that the entropy methods and MSE assume: of one side (TRT, MSE) or of both (ORT).
inline constexpr uint32_t kLevels = 128;
// The bins are too wide for methods that try ranges from kLevels bins on if this share of the magnitudes is within
// them.
inline constexpr double kCoarseShare = 0.999;

struct HistogramView {
  const NibHistogramHead* head;
  const uint64_t* counts;
  uint32_t side;    // bins per side
  bool both;        // the histogram has bins for negative values
  uint32_t length;  // L: bins per side up to the last with a count
  double width;

  HistogramView(uint32_t bins, uint32_t flags, const NibHistogramHead* head_, const uint64_t* counts_)
      : head(head_),
        counts(counts_),
        side((flags & NIB_HISTOGRAM_SIGNED) != 0 ? bins / 2 : bins),
        both((flags & NIB_HISTOGRAM_SIGNED) != 0),
        length(side),
        width(std::ldexp(1.0, int(head_->exponent) - 126) / side) {
    while (length > 0 && magnitudeBin(length - 1) == 0) --length;
  }

  // Count of bin k of |x|.
  uint64_t magnitudeBin(uint32_t k) const { return both ? counts[side + k] + counts[side - 1 - k] : counts[k]; }
  // Count of bin i of 2L in ascending order. Bin 0 starts at -L * width.
  uint64_t ascendingBin(uint32_t i) const {
    if (both) return counts[side - length + i];
    return i < length ? 0 : counts[i - length];
  }
  double edge(int32_t k) const { return k * width; }
  double absmax() const { return std::fmax(-double(head->min), double(head->max)); }
};

bool isCoarse(const HistogramView& view);

// These set the edges and the score.
void percentileSymmetric(const HistogramView& view, double percentile, NibRange* out);
void percentileBothEnds(const HistogramView& view, double percentile, NibRange* out);
void entropyOrt(const HistogramView& view, NibRange* out);
void entropyTrt(const HistogramView& view, NibRange* out);
// These set the range, too.
void mseSymmetric(const HistogramView& view, NibRange* out);
void mseBothEnds(const HistogramView& view, NibRange* out);

}  // namespace nib::ranges
#endif
