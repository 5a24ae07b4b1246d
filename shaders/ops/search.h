// Interface of search.comp: finds scales of the least squared error.
//   WG           invocations of a workgroup, a power of two
//   SOURCE_TYPE  NibType of the source
//   SCALE_TYPE   NibType of the scales
//   FLAGS        NibWeights flags
//   STATUS       the aux range begins with a NibStatus
//   COLUMNS      the run's rows are columns of the matrix: its groups begin in them
#ifndef NIB_OPS_SEARCH_H
#define NIB_OPS_SEARCH_H

#include "common/interface.h"

#define SEARCH_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, SCALE_TYPE, 0u) \
  X(3, uint, FLAGS, 0u) \
  X(4, nib_bool, STATUS, false) \
  X(5, nib_bool, COLUMNS, false)

#ifdef __cplusplus
namespace nib {
#endif
const uint kSearchPiece = 256u;  // elements of a group that a workgroup keeps at a time
struct SearchPush {
  NibPushHead head;
  uint rows;  // of the blob
  uint cols;
  uint stride;      // elements from row to row
  uint group;       // elements sharing a scale
  uint run_groups;  // groups of a row that a run may have
  uint groups_per_row;
  uint scale_row_stride;
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
  uint steps;  // candidates
  float step;  // from one to the next
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
