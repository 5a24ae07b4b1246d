// nibFindRange: validation, degenerate histograms, and the conversion of edges to a range.
#include "base/log.h"
#include "base/sized.h"
#include "ranges/histogram_view.h"

using namespace nib;
using namespace nib::ranges;

namespace {

bool isHistogram(uint32_t bins, uint32_t flags) {
  return bins >= NIB_HISTOGRAM_MIN_BINS && bins <= NIB_HISTOGRAM_MAX_BINS && (bins & (bins - 1)) == 0 &&
         (flags & ~uint32_t(NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE)) == 0;
}

NibResult check(const NibRangeDesc& desc, uint32_t bins, uint32_t histogram_flags, const NibHistogramHead& head,
                const Log& log) {
  if (desc.method > NIB_RANGE_ENTROPY_TRT) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: method %u is not a NIB_RANGE_* value", desc.method);
  }
  if ((desc.flags & ~uint32_t(NIB_RANGE_SYMMETRIC)) != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: flags 0x%x has unknown bits", desc.flags);
  }
  if (desc.method == NIB_RANGE_PERCENTILE && !(desc.percentile > 50.0 && desc.percentile <= 100.0)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: percentile %g must be above 50 and at most 100",
                    desc.percentile);
  }
  if (!isHistogram(bins, histogram_flags)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: bins %u, flags 0x%x are not valid for a histogram", bins,
                    histogram_flags);
  }
  if (head.exponent > 254u || !std::isfinite(head.min) || !std::isfinite(head.max) || head.min > head.max) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: head is not valid: exponent %u, min %g, max %g", head.exponent,
                    double(head.min), double(head.max));
  }
  const bool wants_signs = (desc.flags & NIB_RANGE_SYMMETRIC) == 0 || desc.method == NIB_RANGE_ENTROPY_ORT;
  const bool by_counts = desc.method != NIB_RANGE_MINMAX;
  if (wants_signs && by_counts && (histogram_flags & NIB_HISTOGRAM_SIGNED) == 0 && head.min < 0.0f) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: this method needs a histogram with NIB_HISTOGRAM_SIGNED");
  }
  return NIB_SUCCESS;
}

void minmaxRange(const HistogramView& view, bool symmetric, NibRange* out) {
  out->max = symmetric ? view.absmax() : std::fmax(view.head->max, 0.0);
  out->min = symmetric ? -out->max : std::fmin(view.head->min, 0.0);
}

// The range of the edges, limited to the values counted and extended to include 0.
void edgesRange(const HistogramView& view, bool symmetric, NibRange* out) {
  // Almost all values are in the bins next to zero, which the histogram cannot resolve further.
  if (out->low_edge >= -1 && out->high_edge <= 1) {
    out->low_edge = -1;
    out->high_edge = 1;
  }
  const double low = std::fmax(view.edge(out->low_edge), view.head->min);
  const double high = std::fmin(view.edge(out->high_edge), view.head->max);
  if (symmetric) {
    const double threshold = std::fmax(std::fabs(view.edge(out->low_edge)), view.edge(out->high_edge));
    out->max = std::fmin(threshold, view.absmax());
    out->min = -out->max;
    return;
  }
  out->max = std::fmax(high, 0.0);
  out->min = std::fmin(low, 0.0);
}

void methodRange(const NibRangeDesc& desc, const HistogramView& view, NibRange* out) {
  const bool symmetric = (desc.flags & NIB_RANGE_SYMMETRIC) != 0;
  const bool counts_levels =
      desc.method == NIB_RANGE_MSE || desc.method == NIB_RANGE_ENTROPY_ORT || desc.method == NIB_RANGE_ENTROPY_TRT;
  const bool whole = desc.method == NIB_RANGE_PERCENTILE && desc.percentile == 100.0;
  if (desc.method == NIB_RANGE_MINMAX || whole || (counts_levels && view.length <= kLevels)) {
    return minmaxRange(view, symmetric, out);
  }
  switch (desc.method) {
    case NIB_RANGE_MSE: return symmetric ? mseSymmetric(view, out) : mseBothEnds(view, out);
    case NIB_RANGE_ENTROPY_ORT: entropyOrt(view, out); break;
    case NIB_RANGE_ENTROPY_TRT: entropyTrt(view, out); break;
    default:
      symmetric ? percentileSymmetric(view, desc.percentile, out) : percentileBothEnds(view, desc.percentile, out);
  }
  edgesRange(view, symmetric, out);
}

}  // namespace

extern "C" NibResult nibFindRange(const NibRangeDesc* desc, uint32_t bins, uint32_t histogram_flags,
                                  const NibHistogramHead* head, const uint64_t* counts, const NibLog* log_callback,
                                  NibRange* out_range) {
  const Log log(log_callback);
  if (desc == nullptr || head == nullptr || counts == nullptr || out_range == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: NULL argument");
  }
  NibRangeDesc whole;
  if (!readSized(*desc, &whole)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: set desc->struct_bytes to sizeof(NibRangeDesc)");
  }
  const NibResult result = check(whole, bins, histogram_flags, *head, log);
  if (result != NIB_SUCCESS) return result;
  NibRange range{};
  const HistogramView view(bins, histogram_flags, head, counts);
  if (head->exponent != 0 && view.length != 0) methodRange(whole, view, &range);
  if (writeSized(range, out_range)) return NIB_SUCCESS;
  return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: set out_range->struct_bytes to sizeof(NibRange)");
}
