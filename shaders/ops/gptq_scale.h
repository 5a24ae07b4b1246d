// Interface of gptq_scale.comp: scales of the groups that begin in a block, from the elements of RESULT.
//   WG          invocations of a workgroup, a power of two
//   SCALE_TYPE  NibType of the scales
//   FLAGS       NibWeights flags
//   SOLO        an invocation per group instead of a workgroup
#ifndef NIB_OPS_GPTQ_SCALE_H
#define NIB_OPS_GPTQ_SCALE_H

#include "common/interface.h"

#define GPTQ_SCALE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SCALE_TYPE, 0u) \
  X(2, uint, FLAGS, 0u) \
  X(3, nib_bool, SOLO, false)

#ifdef __cplusplus
namespace nib {
#endif
struct GptqScalePush {
  NibPushHead head;  // rows: the run's columns
  uint rows;         // of the matrix
  uint cols;
  uint group;         // columns that share a scale
  uint block_groups;  // groups of a block
  uint groups_per_row;
  uint scale_row_stride;
  uint scales_word;
  uint zeros_word;
  uint result_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
