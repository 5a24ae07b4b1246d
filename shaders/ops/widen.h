// Interface of widen.comp: histograms take in what a run's extents say, before its elements are counted.
//   WG      invocations of a workgroup, a power of two up to BINS
//   BINS    of a histogram
//   SIGNED  on both sides of zero
//   FRESH   histograms begin anew instead of going on
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
  uint elements;      // of a histogram: this, or (by_rows) this for every row
  uint by_rows;
  uint extent_word;   // first word of the NibExtents at binding 3
  uint count_word;    // first word of the counts in the output range, behind the heads
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
