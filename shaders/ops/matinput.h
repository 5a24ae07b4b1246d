// Interface of matinput.comp: activations of any type, stride and order to rows of whole quads; fp16 stays fp16, other
// types become fp32.
//   WG           invocations of a workgroup
//   INPUT_TYPE   NibType of the activations
//   ORDER        column k of the result is the activations' column order[k], or zeros if they have no such column
#ifndef NIB_OPS_MATINPUT_H
#define NIB_OPS_MATINPUT_H

#include "common/interface.h"

#define MATINPUT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, INPUT_TYPE, 0u) \
  X(2, nib_bool, ORDER, false)

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
  uint order_word;    // of the order, in the weights' range
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
