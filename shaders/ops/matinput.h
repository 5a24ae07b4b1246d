// Interface of matinput.comp: activations of any type and stride to fp32 rows of whole quads.
//   WG           invocations of a workgroup
//   INPUT_TYPE   NibType of the activations
#ifndef NIB_OPS_MATINPUT_H
#define NIB_OPS_MATINPUT_H

#include "common/interface.h"

#define MATINPUT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, INPUT_TYPE, 0u)

#ifdef __cplusplus
namespace nib {
#endif
struct MatinputPush {
  NibPushHead head;
  uint cols;
  uint quads;         // of a row of the result
  uint tokens;        // of one matrix
  uint batch;
  uint input_stride;  // elements from row to row
  uint result_word;   // first word of the result in its range
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
