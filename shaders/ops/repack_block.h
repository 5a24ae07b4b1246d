// Interface of repack_block.comp: converts between the canonical layout of the q formats and ggml's blocks.
//   WG       invocations of a workgroup, a power of two
//   BITS     bits of a code: 4, 5 or 8
//   MINIMUM  blocks have a minimum after the scale, an fp16
//   UNPACK   from blocks to the canonical layout
//   CODES    with UNPACK: write the words of codes, otherwise those of scales and minima
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
