// nibClippedShare: the counts of the cells beyond a range.
#include "ranges/cells.h"
#include "ranges/range_data.h"

using namespace nib;
using namespace nib::ranges;

namespace {

double beyond(const Data& data, Side side, double limit) {
  Cells cells(data, side);
  double sum = 0;
  for (Cell cell; cells.next(&cell);) {
    if (cell.high <= limit) continue;
    const double share = cell.low >= limit ? 1.0 : (cell.high - limit) / (cell.high - cell.low);
    sum += double(cell.count) * share;
  }
  return sum;
}

}  // namespace

extern "C" NibResult nibClippedShare(const NibRangeData* data, double min, double max, const NibLog* log_callback,
                                     double* out_share) {
  const Log log(log_callback);
  RangeData whole;
  if (data == nullptr || out_share == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "clipped share: NULL argument");
  }
  const NibResult result = readRangeData("clipped share", *data, log, &whole);
  if (result != NIB_SUCCESS) return result;
  if ((whole.data.histogram_flags & NIB_HISTOGRAM_SIGNED) == 0) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "clipped share: histogram_flags needs NIB_HISTOGRAM_SIGNED");
  }
  if (!(std::isfinite(min) && std::isfinite(max) && min <= 0 && max >= 0)) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "clipped share: 0 must lie within min %g and max %g", min, max);
  }
  *out_share = 0;
  if (whole.empty()) return NIB_SUCCESS;
  const HistogramView view = whole.view();
  const LogView counts = whole.logCounts();
  const Data values{view, counts};
  const double sum = beyond(values, Side::kPositive, max) + beyond(values, Side::kNegative, -min);
  *out_share = sum / double(whole.data.head->finite_count);
  return NIB_SUCCESS;
}
