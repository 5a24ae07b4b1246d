// Interface of dequantize.comp: decodes codes to dense elements, of whole matrices or of the rows that a list names.
//   WG           invocations of a workgroup, a power of two
//   ROW_BLOCK    rows per invocation
//   RESULT_TYPE  NibType of the result
//   SCALE_TYPE   NibType of the scales, or 5: bytes of double quantization
//   FLAGS        NibWeights flags
//   VEC          the dense rows allow loads and stores of four elements
//   FULL         every run is whole: cols is a multiple of the run
//   COLUMN       one scale per column
//   GATHER       result row i is the matrix's row numbers[i], or zeros if there is no such row
#ifndef NIB_OPS_DEQUANTIZE_H
#define NIB_OPS_DEQUANTIZE_H

#include "common/interface.h"

#define DEQUANTIZE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, ROW_BLOCK, 1u) \
  X(2, uint, RESULT_TYPE, 0u) \
  X(3, uint, SCALE_TYPE, 0u) \
  X(4, uint, FLAGS, 0u) \
  X(5, nib_bool, VEC, false) \
  X(6, nib_bool, FULL, false) \
  X(7, nib_bool, COLUMN, false) \
  X(8, nib_bool, GATHER, false)

#ifdef __cplusplus
namespace nib {
#endif
struct DequantizePush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint group;  // elements sharing a scale
  uint scale_row_stride;  // scale index = row * scale_row_stride + col / group
  uint row_words;  // code words per row
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
  uint nested_word;  // first word of the mean and the scales of scales
  uint source_rows;  // GATHER: rows of the matrix
  uint window_row;   // GATHER: first row of the blob's window
  uint window_rows;  // GATHER: rows of a window
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
