// A histogram as the range methods walk it: up to the last bin that holds something, by magnitude or from below.
#ifndef NIB_RANGES_HISTOGRAM_VIEW_H
#define NIB_RANGES_HISTOGRAM_VIEW_H

#include <nibble/nibble.h>

#include <cmath>

namespace nib::ranges {

// Levels that the entropy methods and MSE allow for, on one side or on both.
inline constexpr uint32_t kLevels = 128;

struct HistogramView {
  const NibHistogramHead* head;
  const uint64_t* counts;
  uint32_t side;     // bins of a side
  bool both;         // bins for negative values
  uint32_t length;   // L: bins of a side up to the last that holds something
  double width;

  HistogramView(uint32_t bins, uint32_t flags, const NibHistogramHead* head_, const uint64_t* counts_)
      : head(head_),
        counts(counts_),
        side((flags & NIB_HISTOGRAM_SIGNED) != 0 ? bins / 2 : bins),
        both((flags & NIB_HISTOGRAM_SIGNED) != 0),
        length(side),
        width(std::ldexp(1.0, int(head_->exponent) - 126) / side) {
    while (length > 0 && ofMagnitude(length - 1) == 0) --length;
  }

  // Bin k of |x|.
  uint64_t ofMagnitude(uint32_t k) const { return both ? counts[side + k] + counts[side - 1 - k] : counts[k]; }
  // Bin i of 2L, from -L * width on.
  uint64_t fromBelow(uint32_t i) const {
    if (both) return counts[side - length + i];
    return i < length ? 0 : counts[i - length];
  }
  double edge(int32_t k) const { return k * width; }
  double absmax() const { return std::fmax(-double(head->min), double(head->max)); }
};

// Each fills the edges and the score.
void percentileSymmetric(const HistogramView& view, double percentile, NibRange* out);
void percentileBothEnds(const HistogramView& view, double percentile, NibRange* out);
void entropyOrt(const HistogramView& view, NibRange* out);
void entropyTrt(const HistogramView& view, NibRange* out);
// And these the range, too.
void mseSymmetric(const HistogramView& view, NibRange* out);
void mseBothEnds(const HistogramView& view, NibRange* out);

}  // namespace nib::ranges
#endif
