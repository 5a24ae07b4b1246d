// Interface of moments.comp: sums of values and of squares, per tile of 1024 elements or of 256 rows of a column.
//   WG           invocations of a workgroup; without SOLO and COLUMNS 128, one for each leaf of eight elements
//   SOURCE_TYPE  NibType of the source
//   VEC          the dense rows allow loads of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   FLATTEN      the matrix is one row of rows * cols elements
//   COLUMNS      a tile is 256 rows of a column, one tile per invocation
//   SOLO         a tile per invocation, in two passes without exchange, instead of per workgroup
#ifndef NIB_OPS_MOMENTS_H
#define NIB_OPS_MOMENTS_H

#include "common/interface.h"

#define MOMENTS_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, nib_bool, VEC, false) \
  X(3, nib_bool, WIDE, false) \
  X(4, nib_bool, FLATTEN, false) \
  X(5, nib_bool, COLUMNS, false) \
  X(6, nib_bool, SOLO, false)

#ifdef __cplusplus
namespace nib {
#endif
struct MomentsPush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint chunks;  // COLUMNS: workgroups across the columns
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
