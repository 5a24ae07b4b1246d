// NIB_OP_DEQUANTIZE: quantized blob to dense matrix.
#ifndef NIBBLE_OPS_DEQUANTIZE_H
#define NIBBLE_OPS_DEQUANTIZE_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_DEQUANTIZE 2u

// WEIGHTS blob [rows, cols] -> OUTPUT dense [rows, cols]. NibRun.n = rows of the run, first_row.. of both.
// Bit-exact: (code - zero) * scale in fp32 (table value * scale for NF4 and the like; code * scale + minimum for
// formats with a minimum), rounded once, saturating; then converted half-even to result_type, where it may become
// infinite.
typedef struct NibDequantizeDesc {
  uint32_t op;          // NIB_OP_DEQUANTIZE
  uint32_t desc_bytes;  // sizeof(NibDequantizeDesc)
  uint32_t flags;       // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // elements from row to row; 0 = cols, rounded up to even for 16-bit types. Rows of 16-bit
                           // results start on a word: an odd stride is refused, and the element after an odd row is 0
  NibWeights weights;
} NibDequantizeDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_DEQUANTIZE_H
