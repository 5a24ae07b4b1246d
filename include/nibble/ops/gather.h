// NIB_OP_GATHER: rows of a quantized matrix by their numbers, as an embedding is looked up.
#ifndef NIBBLE_OPS_GATHER_H
#define NIBBLE_OPS_GATHER_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NIB_OP_GATHER = 7 };

// INPUT uint32[count] row numbers, WEIGHTS blob [rows, cols] -> OUTPUT dense [count, cols]. Row first_row + i of the
// result is row number[i] of the matrix, dequantized; zeros where the matrix has no such row. NibRun.n = how many
// numbers. Bit-exact. The weights must fit one storage range. FLAT: a row must be whole groups and a multiple of 32
// elements.
typedef struct NibGatherDesc {
  uint32_t op;          // NIB_OP_GATHER
  uint32_t desc_bytes;  // sizeof(NibGatherDesc)
  uint32_t flags;       // 0
  uint32_t rows;        // of the matrix
  uint32_t cols;
  uint32_t count;          // row numbers, at most
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // elements from row to row; as NibDequantizeDesc's
  NibWeights weights;
} NibGatherDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_GATHER_H
