// Interface of gptq_order.comp: writes a word of scratch per column, from the order of the columns.
//   WG      invocations of a workgroup
//   INVERT  the position of every column; else the group of the column at every position
#ifndef NIB_OPS_GPTQ_ORDER_H
#define NIB_OPS_GPTQ_ORDER_H

#include "common/interface.h"

#define GPTQ_ORDER_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, nib_bool, INVERT, false)

#ifdef __cplusplus
namespace nib {
#endif
struct GptqOrderPush {
  NibPushHead head;
  uint cols;
  uint group;         // columns that share a scale
  uint order_word;    // first word of the order
  uint scratch_word;  // aux
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
