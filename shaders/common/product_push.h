// Push constants of kernels that multiply weights and activations.
#ifndef NIB_COMMON_PRODUCT_PUSH_H
#define NIB_COMMON_PRODUCT_PUSH_H

#include "common/interface.h"

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
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
