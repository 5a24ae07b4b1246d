// The interface that the kernels of int8 products share: specialization constants 0..17 and the push block. The weights
// W have output channels as rows, the inputs X have tokens as rows; both are codes with scales.
//   WG           invocations of a workgroup
//   W_CODES      0: int8, 1: uint8, 2: int4 or uint4, as offset binary
//   X_CODES      0: int8, 1: uint8
//   W_ASYM       weights have zero points
//   X_ASYM       inputs have zero points
//   W_SCALE      NibType of the weights' scales
//   X_SCALE      NibType of the inputs' scales
//   GROUPED      scales change along a row: a row has segments, whose sums are scaled and then added in ascending order
//   SMALL_SUMS   every sum of a segment is at most 2^24, so fp32 holds it exactly
//   FULL         cols is a multiple of four
//   VEC          rows of codes allow loads of four words (two words of 4-bit weights)
//   RESULT_TYPE  NibType, or NibInt8Result
//   BIAS         add a bias
//   ACTIVATION   NibActivation
//   RESIDUAL     add the previous content of the result
//   W_SEPARATE   the weights' scales and everything after them are bound at binding 3 instead of 0
//   X_SEPARATE   the inputs' scales and everything after them are bound at binding 3 instead of 1
//   OUTLIERS     0, or how many elements of a token may be multiplied in fp32 instead; their list follows the scales
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
  X(15, nib_bool, W_SEPARATE, false) \
  X(16, nib_bool, X_SEPARATE, false) \
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
  uint row_blocks;  // tiles along the rows of one matrix
  uint w_row_words;
  uint x_row_words;
  uint result_stride;   // elements
  uint segment;         // columns whose sum gets one scale: a multiple of 16, or cols
  uint w_group;         // columns per scale
  uint x_group;
  uint w_scale_stride;  // scales per row; 0 if there is only one scale
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
