// Interface of repack_super.comp: converts between the canonical layout of the K formats and ggml's super-blocks.
//   WG      invocations of a workgroup, a power of two
//   FORMAT  NibFormat of the blocks
//   UNPACK  from super-blocks to the canonical layout
//   PART    with UNPACK, what is written: 0 words of codes, 1 of scales, 2 of minima, 3 of d and dmin
#ifndef NIB_OPS_REPACK_SUPER_H
#define NIB_OPS_REPACK_SUPER_H

#include "common/interface.h"

#define NIB_K_Q2 19u
#define NIB_K_Q3 20u
#define NIB_K_Q4 21u
#define NIB_K_Q5 22u
#define NIB_K_Q6 23u
#define NIB_K_IQ4 25u

#define REPACK_SUPER_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, FORMAT, 21u) \
  X(2, nib_bool, UNPACK, false) \
  X(3, uint, PART, 0u)

#ifdef __cplusplus
namespace nib {
#endif
struct RepackSuperPush {
  NibPushHead head;
  uint blocks_per_row;  // super-blocks
  uint scales_word;     // in the blob
  uint zeros_word;
  uint nested_word;
  uint blob_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif

#endif
