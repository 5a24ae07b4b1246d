// NIB_OP_HESSIAN: sums of outer products of activations, H = sum of x x^T, as GPTQ needs them.
#ifndef NIBBLE_OPS_HESSIAN_H
#define NIBBLE_OPS_HESSIAN_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_HESSIAN 21u

// NibHessianDesc.flags

// INPUT holds NIB_PART_MASK after the source: uint32[ceil(tokens / 32)]. Bit t % 32 of word t / 32 says whether
// token t of the run counts. Elements of the others may be anything, even NaN.
#define NIB_HESSIAN_MASK (1u << 0)

// INPUT dense activations [run tokens, cols] -> OUTPUT NIB_PART_RESULT, fp32 [cols, cols]: the run adds the sum of
// x[t][i] * x[t][j] over its tokens t to row i, column j <= i. Elements above the diagonal keep their bytes. The caller
// clears RESULT before the first run. OUTPUT NIB_PART_DIAGONAL, fp32[cols], after it: a copy of RESULT's diagonal
// after the run. NibRun.n = tokens of the run; first_row must be 0. Parts of one role follow each other at multiples of
// 256 bytes. Tokens beyond one storage range are read in windows, with one dispatch for each; RESULT is covered by
// windows of rows.
//
// Bounded: the error that a run adds to an element h is at most
//   (n + 8) * 2^-23 * (|h before the run| + sum of |x[t][i] * x[t][j]|)
// where products and sums below 2^-126 may count as 0. Results are the same from run to run on one device. A non-finite
// element of a token that counts makes its entry of the diagonal infinite or NaN, so that the diagonal alone shows
// whether all elements were finite.
typedef struct NibHessianDesc {
  uint32_t op;             // NIB_OP_HESSIAN
  uint32_t desc_bytes;     // sizeof(NibHessianDesc)
  uint32_t flags;          // NIB_HESSIAN_*
  uint32_t tokens;         // the most tokens of a run
  uint32_t cols;           // cols * cols is at most 2^32 - 2^21
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from token to token; 0 = cols
} NibHessianDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_HESSIAN_H
