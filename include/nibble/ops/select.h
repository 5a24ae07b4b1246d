// NIB_OP_SELECT: the largest elements of rows with their columns, as tokens are chosen from logits.
#ifndef NIBBLE_OPS_SELECT_H
#define NIBBLE_OPS_SELECT_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_SELECT 20u

#define NIB_SELECT_MAX_COUNT 1024u

// INPUT dense [run rows, cols] -> OUTPUT. NibRun.n = rows of the run, which become rows first_row.. of each part.
//   NIB_PART_RESULT          fp32[rows, count]: the largest elements of each row, the largest first
//   NIB_PART_RESULT_INDICES  uint32[rows, count]: their columns. With count = 1, the INPUT of a NIB_OP_GATHER
//   NIB_PART_LOG_SUM         fp32[rows]: lse, the log of the sum of e^x over the row
// Parts follow each other at multiples of 256 bytes. AUX holds NIB_PART_SCRATCH where few long rows are split into
// pieces. Equal elements keep the order of their columns. -0 is equal to 0, and a denormal of fp32 or bfloat16 counts
// as 0; both are written as 0. A NaN comes after all numbers and is written as 0x7fc00000.
//
// Elements and columns are bit-exact. In lse a number beyond 2^60 in magnitude, or infinite, counts as 2^60 of its
// sign; lse is NaN if the row holds a NaN. Its error is at most 2^-20 * (3 + lse - max) + 2^-23 * |lse|, where max is
// the largest element of the row. It is the same from run to run on one device.
typedef struct NibSelectDesc {
  uint32_t op;          // NIB_OP_SELECT
  uint32_t desc_bytes;  // sizeof(NibSelectDesc)
  uint32_t flags;       // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t count;          // 1 to cols, at most NIB_SELECT_MAX_COUNT
} NibSelectDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_SELECT_H
