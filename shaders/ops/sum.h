// Interface of sum.comp: computes partial sums of magnitudes, for means. It divides the matrix as reduce.comp does.
//   WG           invocations of a workgroup, a power of two
//   STEPS        runs per invocation (rows mode), rows per tile (columns mode)
//   SOURCE_TYPE  NibType of the source
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   COLUMNS      a partial per column and tile instead of per chunk of a row
//   SOLO         rows mode: a partial per invocation, without exchange, instead of per workgroup
//   FLATTEN      the matrix is one row of rows * cols elements
//   TENSOR       there is one extent
#ifndef NIB_OPS_SUM_H
#define NIB_OPS_SUM_H

#include "common/interface.h"

#define SUM_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, STEPS, 4u) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, nib_bool, VEC, false) \
  X(4, nib_bool, WIDE, false) \
  X(5, nib_bool, COLUMNS, false) \
  X(6, nib_bool, SOLO, false) \
  X(7, nib_bool, FLATTEN, false) \
  X(8, nib_bool, TENSOR, false)

#ifdef __cplusplus
namespace nib {
#endif
struct SumPush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint chunks;  // partials per row (rows mode), tiles across the columns (columns mode)
  uint partial_word;  // aux: {sum's low word, its high word, 0, 0} per partial
  uint extent_word;   // aux: NibExtent per scale
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
