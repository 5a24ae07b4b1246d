// Interface of moments.comp: sums of values and of squares, per tile of 1024 elements or of 256 rows of a column.
//   WG           invocations of a workgroup; 128 where they share a tile, a leaf of eight elements each
//   SOURCE_TYPE  NibType of the source
//   VEC          the dense rows allow loads of four elements
//   WIDE         and, of 16-bit types, of eight
//   FLATTEN      the matrix is one row of rows * cols elements
//   COLUMNS      a tile is 256 rows of a column, and an invocation's
//   SOLO         a tile per invocation, without exchange and in two passes, instead of per workgroup
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
  uint chunks;  // tiles of WG columns across the matrix
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
