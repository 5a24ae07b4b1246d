// What the kernels of int8 products have in common: specialization constants 0..17 and the push block.
//   WG           invocations of a workgroup
//   W_CODES      0: int8, 1: uint8, 2: int4 or uint4, as offset binary
//   X_CODES      0: int8, 1: uint8
//   W_ASYM       weights have zero points
//   X_ASYM       inputs have
//   W_SCALE      NibType of the weights' scales
//   X_SCALE      and of the inputs'
//   GROUPED      a scale changes along a row: the sums of pieces are scaled and added one after the other
//   SMALL_SUMS   no sum of a piece is beyond 2^24, so that it is a float
//   FULL         cols is a multiple of four
//   VEC          rows of codes allow loads of four words (of 4-bit weights: of two)
//   RESULT_TYPE  NibType, or NibInt8Result
//   BIAS         there is one
//   ACTIVATION   NibActivation
//   RESIDUAL     add what the result held
//   W_APART      scales and what follows of the weights are at binding 3, not 0
//   X_APART      those of the inputs are at binding 3, not 1
//   OUTLIERS     0, or the most elements of a token that are multiplied in fp32 instead; their list is behind the scales
#ifndef NIB_COMMON_INT8_PRODUCT_H
#define NIB_COMMON_INT8_PRODUCT_H

#include "common/interface.h"

#define NIB_INT8_PRODUCT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, W_CODES, 0u) \
  X(2, uint, X_CODES, 0u) \
  X(3, nib_bool, W_ASYM, false) \
  X(4, nib_bool, X_ASYM, false) \
  X(5, uint, W_SCALE, 0u) \
  X(6, uint, X_SCALE, 0u) \
  X(7, nib_bool, GROUPED, false) \
  X(8, nib_bool, SMALL_SUMS, false) \
  X(9, nib_bool, FULL, false) \
  X(10, nib_bool, VEC, false) \
  X(11, uint, RESULT_TYPE, 0u) \
  X(12, nib_bool, BIAS, false) \
  X(13, uint, ACTIVATION, 0u) \
  X(14, nib_bool, RESIDUAL, false) \
  X(15, nib_bool, W_APART, false) \
  X(16, nib_bool, X_APART, false) \
  X(17, uint, OUTLIERS, 0u)

#ifdef __cplusplus
namespace nib {
#endif
struct NibInt8Push {
  NibPushHead head;   // rows: tokens of this run
  uint rows;         // output channels
  uint cols;
  uint tokens;  // from matrix to matrix
  uint batch;
  uint row_blocks;  // tile = (token block * batch + matrix) * row_blocks + row block
  uint w_row_words;
  uint x_row_words;
  uint result_stride;   // elements
  uint piece;           // columns whose sum is scaled as one; a multiple of 16, or cols
  uint w_group;         // columns per scale
  uint x_group;
  uint w_scale_stride;  // scales per row: 0 if there is but one in all
  uint x_scale_stride;
  uint w_scales_word;
  uint w_zeros_word;
  uint bias_word;
  uint table_word;
  uint x_scales_word;
  uint x_zeros_word;
  uint result_scale;  // fp32 bits
  uint result_rcp;    // of 1 / result_scale
  uint table_rcp;
  int zeros;          // zero points: the table's times 2^16, plus the result's as 16 bits of two's complement
  uint outliers_word;  // lists of 1 + 2 * OUTLIERS words per token: how many, then columns and fp32 bits
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
