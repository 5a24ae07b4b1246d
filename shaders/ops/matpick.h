// Interface of matpick.comp: copies the activations of the results of each group to rows of whole quads; fp16 stays
// fp16, other types become fp32. With groups of one it also writes their records (matgroup.h).
//   WG           invocations of a workgroup
//   INPUT_TYPE   NibType of the activations
//   TOKENS       results of a group, at most
//   EACH         each result has a row of activations; otherwise each token
#ifndef NIB_OPS_MATPICK_H
#define NIB_OPS_MATPICK_H

#include "common/interface.h"

#define MATPICK_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, INPUT_TYPE, 0u) \
  X(2, uint, TOKENS, 1u) \
  X(3, nib_bool, EACH, false)

#ifdef __cplusplus
namespace nib {
#endif
struct MatpickPush {
  NibPushHead head;
  uint cols;
  uint quads;    // of a row of the copy
  uint choices;  // results of a token
  uint matrices;
  uint groups;
  uint input_stride;  // elements from row to row
  uint indices_word;  // first words of the choices, the activations and the copy in their ranges
  uint source_word;
  uint copy_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
