// Interface of gather.comp: copies rows of a dense matrix by their numbers.
//   WG           invocations of a workgroup, a power of two
//   SOURCE_TYPE  NibType of the matrix
//   RESULT_TYPE  NibType of the result
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of 16-bit types allow loads and stores of eight elements
#ifndef NIB_OPS_GATHER_H
#define NIB_OPS_GATHER_H

#include "common/interface.h"

#define GATHER_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, RESULT_TYPE, 0u) \
  X(3, nib_bool, VEC, false) \
  X(4, nib_bool, WIDE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct GatherPush {
  NibPushHead head;
  uint cols;
  uint source_words;   // from row to row of the matrix
  uint result_stride;  // elements from row to row
  uint source_rows;
  uint window_row;   // first row of the matrix's window
  uint window_rows;  // rows of a window
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
