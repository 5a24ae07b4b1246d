// NIB_OP_MINMAX: extents of a dense matrix.
#ifndef NIBBLE_OPS_MINMAX_H
#define NIBBLE_OPS_MINMAX_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_MINMAX 3u

// INPUT dense [rows, cols] -> OUTPUT one NibExtent per tensor, row or column, over the finite values. NibRun.n = rows.
// Bit-exact.
typedef struct NibMinMaxDesc {
  uint32_t op;          // NIB_OP_MINMAX
  uint32_t desc_bytes;  // sizeof(NibMinMaxDesc)
  uint32_t flags;       // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t granularity;    // TENSOR, ROW or COLUMN
} NibMinMaxDesc;

// -0 counts as +0, denormals as 0. Without a finite value the first three are 0.
typedef struct NibExtent {
  float min;
  float max;
  float absmax;
  uint32_t nonfinite_count;
} NibExtent;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_MINMAX_H
