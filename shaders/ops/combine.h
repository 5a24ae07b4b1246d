// Interface of combine.comp: partial statistics to NibExtent, one per scale.
//   WG           invocations of a workgroup, a power of two
//   COLUMNS      partials as reduce.comp leaves them in columns mode
//   TENSOR       all partials make one extent
//   FLATTEN      as for reduce.comp
//   SOLO         rows mode: an invocation per row instead of a workgroup
#ifndef NIB_OPS_COMBINE_H
#define NIB_OPS_COMBINE_H

#include "common/interface.h"

#define COMBINE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, nib_bool, COLUMNS, false) \
  X(2, nib_bool, TENSOR, false) \
  X(3, nib_bool, FLATTEN, false) \
  X(4, nib_bool, SOLO, false)

#ifdef __cplusplus
namespace nib {
#endif
struct CombinePush {
  NibPushHead head;
  uint cols;
  uint chunks;  // partials per row (rows mode)
  uint chunk_elements;  // elements of a partial when FLATTEN, rows of a partial when COLUMNS
  uint partial_word;
  uint result_word;  // first word of the extents at binding 2
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
