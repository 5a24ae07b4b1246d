// Interface of search_form.comp: finds scales of the least error of the outputs.
//   WG           invocations of a workgroup, 16 times a power of two
//   SOURCE_TYPE  NibType of the source
//   SCALE_TYPE   NibType of the scales
//   FLAGS        NibWeights flags
//   STATUS       the aux range begins with a NibStatus
//   COLUMNS      the run's rows are columns of the matrix: its groups begin in them
//   SPAN         columns that a workgroup keeps at a time: all of a group, at most 256
#ifndef NIB_OPS_SEARCH_FORM_H
#define NIB_OPS_SEARCH_FORM_H

#include "common/interface.h"

#define SEARCH_FORM_SPEC(X) \
  X(0, uint, WG, 64u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, SCALE_TYPE, 0u) \
  X(3, uint, FLAGS, 0u) \
  X(4, nib_bool, STATUS, false) \
  X(5, nib_bool, COLUMNS, false) \
  X(6, uint, SPAN, 128u)

#ifdef __cplusplus
namespace nib {
#endif
const uint kSearchFormPiece = 256u;  // columns of H that are taken together
const uint kSearchFormSums = 16u;    // partial sums
struct SearchFormPush {
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
  uint hessian_word;  // first words of parts of the input
  uint steps;         // candidates
  float step;         // from one to the next
  uint window_row;    // H's rows in the window of this dispatch
  uint window_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
