// The interface that combine.comp and mean.comp share: they merge partial results of reduce.comp and sum.comp to one
// result per scale.
//   WG           invocations of a workgroup, a power of two
//   COLUMNS      partials of columns mode
//   TENSOR       all partials make one result
//   FLATTEN      the partials are those of one row of rows * cols elements
//   SOLO         rows mode: an invocation per row instead of a workgroup
#ifndef NIB_COMMON_PARTIALS_H
#define NIB_COMMON_PARTIALS_H

#include "common/interface.h"

#define NIB_PARTIALS_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, nib_bool, COLUMNS, false) \
  X(2, nib_bool, TENSOR, false) \
  X(3, nib_bool, FLATTEN, false) \
  X(4, nib_bool, SOLO, false)

#ifdef __cplusplus
namespace nib {
#endif
struct NibPartialsPush {
  NibPushHead head;
  uint cols;
  uint chunks;          // partials per row (rows mode)
  uint chunk_elements;  // elements of a partial when FLATTEN, rows of a partial when COLUMNS
  uint partial_word;    // aux: first word of the partials, four words each
  uint result_word;     // first word of the NibExtents, at binding 2 of combine.comp and in aux of mean.comp
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
