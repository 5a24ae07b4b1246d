// NIB_OP_FACTOR: the upper triangular U with inverse(H) = U^T U, as GPTQ needs it, in three stages.
#ifndef NIBBLE_OPS_FACTOR_H
#define NIBBLE_OPS_FACTOR_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_FACTOR 22u

// NibFactorDesc.flags

// INPUT holds NIB_PART_ORDER, uint32[cols], after the diagonal: the column of H at each position of the factor. It
// must be a permutation.
#define NIB_FACTOR_ORDER (1u << 0)

// NibFactorDesc.stage. A plan is one stage. All stages have the same memory, so one set of buffers serves them.
typedef enum NibFactorStage {
  // Makes the matrix that is factored, H' = H / unit + damp * I, above and on RESULT's diagonal and zeros below it.
  // NibRun.n = rows of RESULT, usually cols.
  NIB_FACTOR_PREPARE = 0,
  // H' = M M^T with M upper triangular, from the last block of columns to the first: runs with n = cols, then the
  // largest multiple of `block` below it, then one block less each, down to `block`. A run of n factors the block that
  // ends at column n, computes the rows above it, and subtracts their contribution from the columns before. After the
  // last run RESULT holds M.
  NIB_FACTOR_CHOLESKY = 1,
  // U = inverse(M), from the first block of columns to the last: the same runs in the opposite order. A run of n
  // inverts the block that ends at column n. After the last run RESULT holds U.
  NIB_FACTOR_INVERT = 2,
  NIB_FACTOR_STAGE_MAX_ENUM = 0x7fffffff
} NibFactorStage;

// NIB_PART_FACTOR_INFO. PREPARE writes it, CHOLESKY sets `failed`.
typedef struct NibFactorInfo {
  uint32_t failed;  // 0, or 1 + the position of the first pivot that was not a positive normal number
  uint32_t dead;    // columns whose entry of the diagonal is 0 or below 2^-126
  float damp;       // added to the diagonal of H / unit to make H': desc.damp * mean / unit
  float unit;       // the largest power of two up to the mean, at most 2^126
  float mean;       // of the diagonal of H without the dead columns; 1 if that is not a positive normal number
  uint32_t reserved[3];
} NibFactorInfo;

// INPUT NIB_PART_SOURCE: H, fp32 [cols, cols], of which the lower triangle and the diagonal are read, as
// NIB_OP_HESSIAN makes it; NIB_PART_DIAGONAL, fp32[cols]: a copy of its diagonal; NIB_PART_ORDER. -> OUTPUT
// NIB_PART_RESULT, fp32 [cols, cols], and NIB_PART_FACTOR_INFO, a NibFactorInfo. AUX: scratch; its contents need not be
// kept from run to run. Parts of one role follow each other at multiples of 256 bytes. first_row must be 0.
//
// Row i, column j >= i of H' is H[order[i]][order[j]] / unit, on the diagonal + damp. An entry of the diagonal that is
// dead counts as the mean. CHOLESKY and INVERT neither read nor write below the diagonal, nor beyond row or column n. A
// pivot that is not a positive normal number counts as 1, and NibFactorInfo.failed tells; the results are then
// undefined, but every run ends. Runs of a stage depend on each other, and need barriers between them.
//
// Bounded, and the same from run to run on one device. For a matrix H' of condition number k that does not fail,
//   norm(M M^T - H') <= (cols + 4) * 2^-22 * norm(H')
//   norm(U^T U H' - I) <= (cols + 4) * 2^-22 * k
// in the Frobenius norm. docs/numbers.md has the bounds of a run.
typedef struct NibFactorDesc {
  uint32_t op;          // NIB_OP_FACTOR
  uint32_t desc_bytes;  // sizeof(NibFactorDesc)
  uint32_t flags;       // NIB_FACTOR_*
  uint32_t stage;       // NibFactorStage
  uint32_t cols;        // cols * cols is at most 2^32 - 2^21
  uint32_t block;       // columns of a run, 32 or 64; 0 = 64
  float damp;           // a fraction of the mean of the diagonal, 0 to 2^20
} NibFactorDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_FACTOR_H
