// Interface of quantize_super.comp: quantizes super-blocks of 256 columns, in one dispatch.
//   WG           invocations of a workgroup, a power of two, at least 16
//   SOURCE_TYPE  NibType of the source
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   FULL         every group is whole: cols is a multiple of 32, or of 16 where groups have 16
//   STATUS       the aux range begins with a NibStatus
//   IMPORTANCE   errors are weighed by a number per column, in the aux range
#ifndef NIB_OPS_QUANTIZE_SUPER_H
#define NIB_OPS_QUANTIZE_SUPER_H

#include "common/interface.h"

#define QUANTIZE_SUPER_SPEC(X) \
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
struct QuantizeSuperPush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint groups_per_row;
  uint scale_row_stride;  // groups per row, with those that fill the last super-block
  uint row_words;  // code words per row
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
  uint nested_word;
  uint importance_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif

#endif
