// Interface of widen.comp: makes histograms wide enough for a run's extents, before its elements are counted.
//   WG      invocations of a workgroup, a power of two up to BINS
//   BINS    bins of a histogram
//   SIGNED  bins are on both sides of zero
//   FRESH   histograms start empty instead of accumulating
#ifndef NIB_OPS_WIDEN_H
#define NIB_OPS_WIDEN_H

#include "common/interface.h"

#define WIDEN_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, BINS, 2048u) \
  X(2, nib_bool, SIGNED, false) \
  X(3, nib_bool, FRESH, false)

#ifdef __cplusplus
namespace nib {
#endif
struct WidenPush {
  NibPushHead head;
  uint elements;      // elements of a histogram, or of each of its rows if by_rows is 1
  uint by_rows;
  uint extent_word;   // first word of the NibExtents at binding 3
  uint count_word;    // first word of the counts in the output range, after the heads
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
