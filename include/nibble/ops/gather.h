// NIB_OP_GATHER: rows of a quantized or dense matrix by their numbers, as an embedding is looked up.
#ifndef NIBBLE_OPS_GATHER_H
#define NIBBLE_OPS_GATHER_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_GATHER 7u

// INPUT uint32[count] row numbers, WEIGHTS [rows, cols] -> OUTPUT dense [count, cols]. Row first_row + i of the result
// is row number[i] of the matrix; zeros where the matrix has no such row. NibRun.n = how many numbers.
// WEIGHTS are a blob, whose rows are dequantized, or dense (NIB_FORMAT_DENSE), laid out as those of NIB_OP_MATMUL, so
// that one buffer serves an embedding and the product with it. Dense elements are converted as NIB_OP_CONVERT does it.
// They may be of any size: a matrix that does not fit one storage range is read in windows of rows, with one dispatch
// for each. A row must fit one window, and so must all scales and zero points of TENSOR, COLUMN and NESTED weights.
// Where weights have zero points or minimums, all their scales together must leave space in a storage range, because
// zero points are read through the same descriptor.
// Bit-exact. FLAT: a row must be whole groups and a multiple of 32 elements.
typedef struct NibGatherDesc {
  uint32_t op;          // NIB_OP_GATHER
  uint32_t desc_bytes;  // sizeof(NibGatherDesc)
  uint32_t flags;       // 0
  uint32_t rows;        // of the matrix
  uint32_t cols;
  uint32_t count;          // the most row numbers of a run
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // elements from row to row; as NibDequantizeDesc's
  NibWeights weights;
} NibGatherDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_GATHER_H
