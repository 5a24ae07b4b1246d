// Interface of factor_block.comp: the block on the diagonal.
//   WG      invocations of a workgroup
//   BLOCK   columns of a block, 32 or 64
//   INVERT  the block is inverted, else factored
#ifndef NIB_SHADERS_OPS_FACTOR_BLOCK_H
#define NIB_SHADERS_OPS_FACTOR_BLOCK_H

#include "common/interface.h"

#define FACTOR_BLOCK_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, BLOCK, 64u) \
  X(2, nib_bool, INVERT, false)

#ifdef __cplusplus
namespace nib {
#endif
struct FactorBlockPush {
  NibPushHead head;  // rows: columns up to the block's end
  uint cols;
  uint result_word;  // first words of parts
  uint info_word;
  uint inverse_word;  // in scratch: [BLOCK, BLOCK]
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
