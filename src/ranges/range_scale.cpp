// Scale and zero point of a range, and moving averages of ranges.
#include "base/log.h"

#include <nibble/formats.h>

#include "numerics/exact.h"

#include <cmath>

using namespace nib;

namespace {

// Half-even, whatever the rounding mode.
int32_t roundEven(float x) {
  const float whole = std::floor(x), rest = x - whole;
  const int32_t low = int32_t(whole);
  return rest > 0.5f || (rest == 0.5f && (low & 1) != 0) ? low + 1 : low;
}

}  // namespace

extern "C" NibResult nibRangeScale(uint32_t format, uint32_t flags, double min, double max, const NibLog* log_callback,
                                   float* out_scale, int32_t* out_zero_point) {
  const Log log(log_callback);
  if (out_scale == nullptr || out_zero_point == nullptr) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range scale: NULL argument");
  }
  if (format != NIB_FORMAT_INT8 && format != NIB_FORMAT_FP8) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range scale: format %u must be NIB_FORMAT_INT8 or NIB_FORMAT_FP8",
                    format);
  }
  if (!(min <= 0.0 && max >= 0.0 && std::isfinite(float(min)) && std::isfinite(float(max)))) {
    return log.fail(NIB_ERROR_INVALID_ARGUMENT, "range scale: min %g and max %g must be finite and have 0 between them",
                    min, max);
  }
  const bool symmetric = (flags & NIB_RANGE_SYMMETRIC) != 0 || format == NIB_FORMAT_FP8;
  const float low = float(min), high = float(max), absmax = -low > high ? -low : high;
  *out_zero_point = 0;
  if (symmetric) {
    *out_scale = exact::nibDiv(absmax, format == NIB_FORMAT_FP8 ? 448.0f : 127.5f);
    return NIB_SUCCESS;
  }
  // Half of the range over half of the levels, because the whole range may overflow fp32.
  *out_scale = exact::nibDiv(exact::nibHalve(high) - exact::nibHalve(low), 127.5f);
  if (*out_scale != 0.0f) *out_zero_point = roundEven(exact::nibDiv(-low, *out_scale)) - 128;
  if (*out_zero_point > 127) *out_zero_point = 127;
  return NIB_SUCCESS;
}

extern "C" void nibEmaAdd(NibEma* ema, const NibExtent* extent, double constant) {
  const double share = ema->batches == 0 ? 1.0 : constant;
  ema->min += share * (double(extent->min) - ema->min);
  ema->max += share * (double(extent->max) - ema->max);
  ++ema->batches;
}
