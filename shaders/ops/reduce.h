// Interface of reduce.comp: finds partial extents of a dense matrix.
//   WG           invocations of a workgroup, a power of two
//   STEPS        runs per invocation (rows mode), rows per tile (columns mode)
//   SOURCE_TYPE  NibType of the source
//   WHAT         0: extent of the finite values, and count of the others; 1: absmax; 2: extent. With 1 and 2 the count
//                is not 0 if any element is not finite
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   STATUS       the aux range begins with a NibStatus
//   COLUMNS      a partial per column and tile instead of per chunk of a row
//   SOLO         rows mode: a partial per invocation, without exchange, instead of per workgroup
//   FLATTEN      the matrix is one row of rows * cols elements
#ifndef NIB_OPS_REDUCE_H
#define NIB_OPS_REDUCE_H

#include "common/interface.h"

#define REDUCE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, STEPS, 4u) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, uint, WHAT, 0u) \
  X(4, nib_bool, VEC, false) \
  X(5, nib_bool, STATUS, false) \
  X(6, nib_bool, COLUMNS, false) \
  X(7, nib_bool, SOLO, false) \
  X(8, nib_bool, FLATTEN, false) \
  X(9, nib_bool, WIDE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct ReducePush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint chunks;  // partials per row (rows mode), tiles across the columns (columns mode)
  uint partial_word;  // aux: {low key, high key, non-finite count, 0} per partial
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
