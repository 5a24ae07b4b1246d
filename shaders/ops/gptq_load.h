// Interface of gptq_load.comp: copies rows of W to fp32 rows of RESULT, in the order of the columns.
//   WG           invocations of a workgroup
//   SOURCE_TYPE  NibType of W
//   ORDER        columns have an order
//   DEAD         columns whose entry of the diagonal is 0 become zeros
#ifndef NIB_OPS_GPTQ_LOAD_H
#define NIB_OPS_GPTQ_LOAD_H

#include "common/interface.h"

#define GPTQ_LOAD_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, nib_bool, ORDER, false) \
  X(3, nib_bool, DEAD, false)

#ifdef __cplusplus
namespace nib {
#endif
struct GptqLoadPush {
  NibPushHead head;
  uint cols;
  uint stride;       // elements from row to row of W
  uint source_word;  // first words of parts
  uint result_word;
  uint order_word;
  uint diagonal_word;
  uint tiles;  // of a row
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
