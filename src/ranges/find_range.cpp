// nibFindRange: validation, degenerate histograms, and the conversion of edges to a range.
#include "base/log.h"
#include "base/sized.h"
#include "ranges/range_data.h"

using namespace nib;
using namespace nib::ranges;

namespace {

NibResult check(const NibRangeDesc& desc, const NibRangeData& data, const Log& log) {
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
  const bool wants_signs = (desc.flags & NIB_RANGE_SYMMETRIC) == 0 || desc.method == NIB_RANGE_ENTROPY_ORT;
  const bool by_counts = desc.method != NIB_RANGE_MINMAX;
  if (wants_signs && by_counts && (data.histogram_flags & NIB_HISTOGRAM_SIGNED) == 0 && data.head->min < 0.0f) {
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

void histogramRange(const NibRangeDesc& desc, const HistogramView& view, bool symmetric, NibRange* out) {
  switch (desc.method) {
    case NIB_RANGE_MSE: return symmetric ? mseSymmetric(view, out) : mseBothEnds(view, out);
    case NIB_RANGE_ENTROPY_ORT: entropyOrt(view, out); break;
    case NIB_RANGE_ENTROPY_TRT: entropyTrt(view, out); break;
    default:
      symmetric ? percentileSymmetric(view, desc.percentile, out) : percentileBothEnds(view, desc.percentile, out);
      if (out->low_edge > -int32_t(kLevels) && out->high_edge < int32_t(kLevels)) out->flags = NIB_RANGE_COARSE;
  }
  edgesRange(view, symmetric, out);
}

void cellsRange(const NibRangeDesc& desc, const Data& data, bool symmetric, NibRange* out) {
  switch (desc.method) {
    case NIB_RANGE_PERCENTILE: return percentileOfCells(data, desc.percentile, symmetric, out);
    case NIB_RANGE_MSE: return mseOfCells(data, symmetric, out);
    default: {
      const FinerHistogram finer(data);
      histogramRange(desc, {NIB_HISTOGRAM_MAX_BINS, NIB_HISTOGRAM_SIGNED, &finer.head, finer.counts}, symmetric, out);
    }
  }
}

void methodRange(const NibRangeDesc& desc, const HistogramView& view, const LogView& log, NibRange* out) {
  const bool symmetric = (desc.flags & NIB_RANGE_SYMMETRIC) != 0;
  const bool percentile = desc.method == NIB_RANGE_PERCENTILE;
  if (desc.method == NIB_RANGE_MINMAX || (percentile && desc.percentile == 100.0)) {
    return minmaxRange(view, symmetric, out);
  }
  if (!percentile && isCoarse(view)) out->flags = NIB_RANGE_COARSE;
  const bool has_cells = log.zero != nullptr && log.length != 0;
  if (has_cells && (percentile || out->flags != 0)) return cellsRange(desc, {view, log}, symmetric, out);
  if (!percentile && view.length <= kLevels) return minmaxRange(view, symmetric, out);
  histogramRange(desc, view, symmetric, out);
}

}  // namespace

bool nib::ranges::isCoarse(const HistogramView& view) {
  if (view.length <= kLevels) return true;
  uint64_t count = 0, within = 0;
  for (uint32_t k = 0; k < view.length; ++k) {
    count += view.magnitudeBin(k);
    if (k < kLevels) within = count;
  }
  return within > uint64_t(kCoarseShare * double(count - 1));
}

extern "C" NibResult nibFindRange(const NibRangeDesc* desc, const NibRangeData* data, const NibLog* log_callback,
                                  NibRange* out_range) {
  const Log log(log_callback);
  if (desc == nullptr || data == nullptr || out_range == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: NULL argument");
  }
  NibRangeDesc whole;
  if (!readSized(*desc, &whole)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: set desc->struct_bytes to sizeof(NibRangeDesc)");
  }
  RangeData read;
  NibResult result = readRangeData("range", *data, log, &read);
  if (result == NIB_SUCCESS) result = check(whole, read.data, log);
  if (result != NIB_SUCCESS) return result;
  NibRange range{};
  const HistogramView view = read.view();
  const LogView log_counts = read.logCounts();
  if (!read.empty() && view.length != 0) methodRange(whole, view, log_counts, &range);
  if (writeSized(range, out_range)) return NIB_SUCCESS;
  return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range: set out_range->struct_bytes to sizeof(NibRange)");
}
