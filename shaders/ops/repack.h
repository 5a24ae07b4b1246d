// Interface of repack.comp: converts codes, or zero points, between the canonical layout and the rows of other
// programs.
//   WG      invocations of a workgroup, a power of two
//   BITS    bits of a code: 2, 4 or 8
//   FLIP    every word is exclusive-ored with this
//   SWAP    the two nibbles of every byte are swapped
//   GATHER  packed rows do not start on words: an invocation collects the codes of its word one by one
//   ZEROS   zero points instead of codes, packed along columns
//   UNPACK  from the packed layout to the canonical one
#ifndef NIB_OPS_REPACK_H
#define NIB_OPS_REPACK_H

#include "common/interface.h"

#define REPACK_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, BITS, 4u) \
  X(2, uint, FLIP, 0u) \
  X(3, nib_bool, SWAP, false) \
  X(4, nib_bool, GATHER, false) \
  X(5, nib_bool, ZEROS, false) \
  X(6, nib_bool, UNPACK, false)

#ifdef __cplusplus
namespace nib {
#endif
struct RepackPush {
  NibPushHead head;
  uint cols;       // codes, or zero points, of a row
  uint row_words;  // canonical code words of a row
  uint zeros_word;   // first word of the zero points in the blob
  uint packed_word;  // first word of the packed codes or zero points
  uint one_row;      // 1: the zero point of a whole tensor
  uint blob_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif

#endif
