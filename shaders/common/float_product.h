// The interface that matvec, matmul, matmul_rows and matmul_half share: weights times activations, y = x W'.
// Specialization constants 0..8:
//   WG           invocations of a workgroup
//   RESULT_TYPE  NibType of the result
//   SCALE_TYPE   NibType of the scales, or 5: bytes of double quantization; for dense weights, the type of the weights
//   FLAGS        NibWeights flags
//   FULL         every run is whole, and so is every row of codes
//   COLUMN       one scale per column
//   BIAS         add a bias to the sums
//   RESIDUAL     add the previous content of the result
//   ACTIVATION   NibActivation
#ifndef NIB_COMMON_FLOAT_PRODUCT_H
#define NIB_COMMON_FLOAT_PRODUCT_H

#include "common/interface.h"

#define NIB_FLOAT_PRODUCT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, RESULT_TYPE, 0u) \
  X(2, uint, SCALE_TYPE, 0u) \
  X(3, uint, FLAGS, 0u) \
  X(4, nib_bool, FULL, false) \
  X(5, nib_bool, COLUMN, false) \
  X(6, nib_bool, BIAS, false) \
  X(7, nib_bool, RESIDUAL, false) \
  X(8, uint, ACTIVATION, 0u)

#ifdef __cplusplus
namespace nib {
#endif
struct ProductPush {
  NibPushHead head;
  uint matrix_rows;   // rows of one matrix
  uint cols;
  uint tokens;        // rows of activations that belong to one matrix
  uint batch;         // matrices
  uint row_blocks;    // tiles along the rows of one matrix
  uint input_stride;  // elements from row to row
  uint result_stride;
  uint row_words;     // words of a row of codes
  uint group;         // columns sharing a scale
  uint scale_row_stride;  // scale index = row * scale_row_stride + col / group
  uint scales_word;   // first word of the scales in the blob
  uint zeros_word;
  uint nested_word;
  uint bias_word;
  uint splits;        // parts of the columns
  uint units_per_split;
  uint input_word;    // first word of the activations in their range
  uint window_row;    // CHOICES: first row of the window of weights
  uint window_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
