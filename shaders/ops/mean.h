// Interface of mean.comp: partial sums to means, one per scale.
//   WG           invocations of a workgroup, a power of two
//   COLUMNS      partials as sum.comp leaves them in columns mode
//   TENSOR       all partials make one mean
//   FLATTEN      as for sum.comp
//   SOLO         rows mode: an invocation per row instead of a workgroup
#ifndef NIB_OPS_MEAN_H
#define NIB_OPS_MEAN_H

#include "common/interface.h"

#define MEAN_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, nib_bool, COLUMNS, false) \
  X(2, nib_bool, TENSOR, false) \
  X(3, nib_bool, FLATTEN, false) \
  X(4, nib_bool, SOLO, false)

#ifdef __cplusplus
namespace nib {
#endif
struct MeanPush {
  NibPushHead head;
  uint cols;
  uint chunks;  // partials per row (rows mode)
  uint chunk_elements;  // elements of a partial when FLATTEN, rows of a partial when COLUMNS
  uint partial_word;
  uint extent_word;  // aux: NibExtent per scale, whose absmax becomes the mean
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
