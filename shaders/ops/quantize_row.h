// Interface of quantize_row.comp: one scale per row, found, one dispatch.
//   WG           invocations of a workgroup, a power of two
//   ROWS         rows per tile, one after another: those whose scales and zero points share words
//   SOURCE_TYPE  NibType of the source
//   SCALE_TYPE   NibType of the scales
//   FLAGS        NibWeights flags
//   VEC          the dense rows allow loads and stores of four elements
//   FULL         every run is whole: cols is a multiple of the run
//   STATUS       the aux range begins with a NibStatus
#ifndef NIB_OPS_QUANTIZE_ROW_H
#define NIB_OPS_QUANTIZE_ROW_H

#include "common/interface.h"

#define QUANTIZE_ROW_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, ROWS, 4u) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, uint, SCALE_TYPE, 0u) \
  X(4, uint, FLAGS, 0u) \
  X(5, nib_bool, VEC, false) \
  X(6, nib_bool, FULL, false) \
  X(7, nib_bool, STATUS, false)

#ifdef __cplusplus
namespace nib {
#endif
struct QuantizeRowPush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint row_words;  // code words per row
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
