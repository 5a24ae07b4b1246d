// Interface of histogram.comp: counts the elements of a dense matrix into histograms that widen.comp has made wide
// enough.
//   WG           invocations of a workgroup, a power of two
//   STEPS        runs of eight per invocation (rows mode), rows per tile (columns mode)
//   SOURCE_TYPE  NibType of the source
//   BINS         bins of a histogram
//   SIGNED       bins are on both sides of zero
//   SIDE_LOG     binary logarithm of the bins of a side
//   SHARED       BINS in rows mode; 1 in columns mode, which uses no shared memory
//   RUNS         stretches of one bin are counted in registers and added once, otherwise every element is added
//   VEC          the dense rows allow loads of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   COLUMNS      a histogram per column
//   TENSOR       all rows have one histogram
//   FLATTEN      the matrix is one row of rows * cols elements
#ifndef NIB_OPS_HISTOGRAM_H
#define NIB_OPS_HISTOGRAM_H

#include "common/interface.h"

#define HISTOGRAM_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, STEPS, 32u) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, uint, BINS, 2048u) \
  X(4, nib_bool, SIGNED, false) \
  X(5, uint, SHARED, 2048u) \
  X(6, nib_bool, VEC, false) \
  X(7, nib_bool, WIDE, false) \
  X(8, nib_bool, COLUMNS, false) \
  X(9, nib_bool, TENSOR, false) \
  X(10, nib_bool, FLATTEN, false) \
  X(11, uint, SIDE_LOG, 11u) \
  X(12, nib_bool, RUNS, true)

#ifdef __cplusplus
namespace nib {
#endif
struct HistogramPush {
  NibPushHead head;
  uint cols;
  uint stride;      // elements from row to row
  uint chunks;      // tiles per row (rows mode), across the columns (columns mode)
  uint count_word;  // first word of the counts in the output range, after the heads
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
