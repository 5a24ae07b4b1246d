// Interface of repack_block.comp: the canonical layout of the q formats <-> ggml's blocks.
//   WG       invocations of a workgroup, a power of two
//   BITS     of a code: 4, 5 or 8
//   MINIMUM  a half behind the scale
//   UNPACK   from blocks: CODES writes the words of codes, else those of scales and minima
//   CODES    see UNPACK
#ifndef NIB_OPS_REPACK_BLOCK_H
#define NIB_OPS_REPACK_BLOCK_H

#include "common/interface.h"

#define REPACK_BLOCK_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, BITS, 4u) \
  X(2, nib_bool, MINIMUM, false) \
  X(3, nib_bool, UNPACK, false) \
  X(4, nib_bool, CODES, false)

#ifdef __cplusplus
namespace nib {
#endif
struct RepackBlockPush {
  NibPushHead head;
  uint blocks_per_row;
  uint scales_word;  // in the blob
  uint zeros_word;
  uint blob_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif

#endif
