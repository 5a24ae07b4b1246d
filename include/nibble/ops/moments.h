// NIB_OP_MOMENTS: sums and sums of squares of a dense matrix.
#ifndef NIBBLE_OPS_MOMENTS_H
#define NIBBLE_OPS_MOMENTS_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_MOMENTS 13u

#define NIB_MOMENT_TILE 1024u
#define NIB_MOMENT_ROWS 256u

// INPUT dense [rows, cols] -> OUTPUT sums of x and x^2 per tensor or column. NibRun.n = rows.
// TENSOR: a NibMomentTile per NIB_MOMENT_TILE elements in row-major order, across the ends of rows. COLUMN: one per
// NIB_MOMENT_ROWS rows of each column, [ceil(n / NIB_MOMENT_ROWS), cols]. The last ones are shorter. nibMomentsAdd
// makes totals from them. Bit-exact: sums are taken in one fixed order, in pairs of fp32.
typedef struct NibMomentsDesc {
  uint32_t op;          // NIB_OP_MOMENTS
  uint32_t desc_bytes;  // sizeof(NibMomentsDesc)
  uint32_t flags;       // 0
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t granularity;    // TENSOR or COLUMN
} NibMomentsDesc;

// NaN and infinite elements are counted and left out. Denormals of fp32 and bfloat16 are zeros. The sum is
// (high + low) * 2^e, the sum of squares (high + low) * 2^(2e), where 2^e brings absmax to [2^30, 2^31): e = its
// exponent field - 157. The error is at most 2^-40 of the sum of |x|, and of the sum of squares.
typedef struct NibMomentTile {
  uint32_t finite_count;
  uint32_t nonfinite_count;
  float absmax;
  uint32_t reserved;  // 0
  float sum[2];       // {high, low}
  float squares[2];
} NibMomentTile;

// Totals of tiles. All zeros = no tiles. Never grows.
typedef struct NibMoments {
  uint64_t finite_count;
  uint64_t nonfinite_count;
  double absmax;
  double sum;
  double squares;
} NibMoments;

// Adds `count` tiles in their order, in fp64. `stride`: distance in tiles from one to the next (COLUMN: cols).
// Thread-safe for distinct moments.
NIB_API void nibMomentsAdd(NibMoments* moments, const NibMomentTile* tiles, uint64_t count, uint64_t stride);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_MOMENTS_H
