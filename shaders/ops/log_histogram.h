// Interface of log_histogram.comp: counts the elements of a dense matrix in log-spaced bins.
//   WG             invocations of a workgroup, a power of two
//   STEPS          runs of eight per invocation (rows mode), rows per tile (columns mode)
//   SOURCE_TYPE    NibType of the source
//   MANTISSA_BITS  a binade has 2^MANTISSA_BITS bins
//   VEC            the dense rows allow loads of four elements
//   WIDE           dense rows of a 16-bit type allow loads of eight elements
//   COLUMNS        a histogram per column
//   FLATTEN        the matrix is one row of rows * cols elements
#ifndef NIB_OPS_LOG_HISTOGRAM_H
#define NIB_OPS_LOG_HISTOGRAM_H

#include "common/interface.h"

#define LOG_HISTOGRAM_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, STEPS, 32u) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, uint, MANTISSA_BITS, 9u) \
  X(4, nib_bool, VEC, false) \
  X(5, nib_bool, WIDE, false) \
  X(6, nib_bool, COLUMNS, false) \
  X(7, nib_bool, FLATTEN, false)

#ifdef __cplusplus
namespace nib {
#endif
struct LogHistogramPush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint chunks;  // tiles per row (rows mode), across the columns (columns mode)
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
