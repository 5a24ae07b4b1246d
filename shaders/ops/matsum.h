// Interface of matsum.comp: adds up matvec's sums of parts of the columns.
//   WG           invocations of a workgroup
//   RESULT_TYPE  NibType of the result
//   BIAS         add a bias to the sums
//   RESIDUAL     add the previous content of the result
//   ACTIVATION   NibActivation
#ifndef NIB_OPS_MATSUM_H
#define NIB_OPS_MATSUM_H

#include "common/interface.h"

#define MATSUM_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, RESULT_TYPE, 0u) \
  X(2, nib_bool, BIAS, false) \
  X(3, nib_bool, RESIDUAL, false) \
  X(4, uint, ACTIVATION, 0u)

#ifdef __cplusplus
namespace nib {
#endif
struct MatsumPush {
  NibPushHead head;
  uint matrix_rows;
  uint tokens;  // of one matrix
  uint batch;
  uint result_stride;
  uint bias_word;
  uint splits;  // parts of the columns
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
