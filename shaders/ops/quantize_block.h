// Interface of quantize_block.comp: quantizes blocks of 32 with scales by the format's own rule, in one dispatch.
//   WG           invocations of a workgroup, a power of two
//   SOURCE_TYPE  NibType of the source
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   FULL         every block is whole: cols is a multiple of 32
//   STATUS       the aux range begins with a NibStatus
//   IMPORTANCE   errors are weighed by a number per column, in the aux range
#ifndef NIB_OPS_QUANTIZE_BLOCK_H
#define NIB_OPS_QUANTIZE_BLOCK_H

#include "common/interface.h"

#define QUANTIZE_BLOCK_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, nib_bool, VEC, false) \
  X(3, nib_bool, WIDE, false) \
  X(4, nib_bool, FULL, false) \
  X(5, nib_bool, STATUS, false) \
  X(6, nib_bool, IMPORTANCE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct QuantizeBlockPush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint blocks_per_row;
  uint scale_row_stride;  // scales per row, with the padding of ALIGNED
  uint row_words;  // code words per row
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
  uint blob_rows;
  uint importance_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif

#endif
