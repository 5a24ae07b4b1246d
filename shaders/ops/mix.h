// Interface of mix.comp: weighted sums of `count` neighbouring rows.
//   WG         invocations of a workgroup
//   WEIGHTING  NibMixWeighting
//   VEC        all rows allow loads of four elements
//   RESIDUAL   adds to the previous result
#ifndef NIB_OPS_MIX_H
#define NIB_OPS_MIX_H

#include "common/interface.h"

#define MIX_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, WEIGHTING, 0u) \
  X(2, nib_bool, VEC, false) \
  X(3, nib_bool, RESIDUAL, false)

#ifdef __cplusplus
namespace nib {
#endif
struct MixPush {
  NibPushHead head;
  uint cols;
  uint quads;  // of a row
  uint count;  // rows of the source to a row of the result
  uint source_stride;  // elements from row to row
  uint result_stride;
  uint log_sum_word;  // first words of parts
  uint source_word;
  uint result_word;
  uint logits_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
