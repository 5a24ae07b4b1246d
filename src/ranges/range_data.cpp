#include "ranges/range_data.h"

#include "base/sized.h"

namespace nib::ranges {

NibResult readRangeData(const char* what, const NibRangeData& data, const Log& log, RangeData* out) {
  if (!readSized(data, &out->data)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: set data->struct_bytes to sizeof(NibRangeData)", what);
  }
  const NibRangeData& d = out->data;
  if (d.head == nullptr || d.counts == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: head or counts is NULL", what);
  }
  const uint32_t flags = NIB_HISTOGRAM_SIGNED | NIB_HISTOGRAM_ACCUMULATE;
  if (d.bins < NIB_HISTOGRAM_MIN_BINS || d.bins > NIB_HISTOGRAM_MAX_BINS || (d.bins & (d.bins - 1)) != 0 ||
      (d.histogram_flags & ~flags) != 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: bins %u, flags 0x%x are not valid for a histogram", what, d.bins,
                    d.histogram_flags);
  }
  const NibHistogramHead& head = *d.head;
  if (head.exponent > 254u || !std::isfinite(head.min) || !std::isfinite(head.max) || head.min > head.max) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: head is not valid: exponent %u, min %g, max %g", what,
                    head.exponent, double(head.min), double(head.max));
  }
  if (d.log_counts == nullptr) return NIB_SUCCESS;
  if (d.mantissa_bits > NIB_LOG_HISTOGRAM_MAX_BITS || (d.histogram_flags & NIB_HISTOGRAM_SIGNED) == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT,
                    "%s: log_counts need mantissa_bits of at most %d, not %u, and NIB_HISTOGRAM_SIGNED", what,
                    int(NIB_LOG_HISTOGRAM_MAX_BITS), d.mantissa_bits);
  }
  uint64_t total = 0;
  for (uint32_t i = 0; i < NIB_LOG_HISTOGRAM_BINS(d.mantissa_bits); ++i) total += d.log_counts[i];
  if (total != head.finite_count) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "%s: log_counts are of %llu values, the head of %llu", what,
                    (unsigned long long)total, (unsigned long long)head.finite_count);
  }
  return NIB_SUCCESS;
}

}  // namespace nib::ranges
