// NIB_OP_LOSS: log-probabilities of targets, and the divergence of one model's logits from another's.
#ifndef NIBBLE_OPS_LOSS_H
#define NIBBLE_OPS_LOSS_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_LOSS 19u

// NibLossDesc.flags

// INPUT holds NIB_PART_REFERENCE, the logits of the model that the candidate is compared with.
#define NIB_LOSS_REFERENCE (1u << 0)

// INPUT dense logits [run rows, cols], NIB_PART_CANDIDATE, and NIB_PART_INDICES uint32[run rows], the target of each
// row -> OUTPUT fp32[rows, 4]. NibRun.n = rows of the run, which become rows first_row.. of OUTPUT. INPUT begins with
// NIB_PART_REFERENCE, if there is one; each part begins at a multiple of 256 bytes.
//   x = a logit, or with a soft cap, soft_cap * tanh(logit / soft_cap)
//   [0] lse = log of the sum of e^x over the candidate's row
//   [1] x of the target - lse; 0 if the target is UINT32_MAX (no target); NaN if it is another number >= cols
//   [2] the Kullback-Leibler divergence: sum of p * log(p / q), where p and q are the probabilities that reference and
//       candidate give; 0 without REFERENCE
//   [3] 1 if the largest logit of the candidate has the same column as that of the reference (without REFERENCE: as the
//       target), else 0. The first of equal logits counts as the largest.
// A logit beyond 2^60 in magnitude, or infinite, counts as 2^60 of its sign: a masked entry, -infinity, has the
// probability 0 if there is no soft cap. A NaN in the candidate's row makes [0], [1] if there is a target and [2] NaN,
// one in the reference's row [2]; [3] is then 0.
//
// The numbers are bounded: [3] is exact, and the errors of the others are at most, times 1 + soft_cap,
//   [0] 2^-20 * (2 + lse - max) + 2^-23 * |lse|, where max is the largest x of the row
//   [1] 2^-20 * (2 + lse - max) + 2^-23 * |[1]|
//   [2] 2^-20 * ([2] + sum of p * |d| * (8 + h)) + 2^-16 * (sum of p + q where |d| > 1/4) + 2^-40
// where h is the distance of the reference's x from its largest, and d that distance less the candidate's. So a small
// divergence of similar logits is not lost in the size of the logits. Results are the same from run to run on one
// device.
typedef struct NibLossDesc {
  uint32_t op;          // NIB_OP_LOSS
  uint32_t desc_bytes;  // sizeof(NibLossDesc)
  uint32_t flags;       // NIB_LOSS_*
  uint32_t rows;
  uint32_t cols;              // the vocabulary
  uint32_t candidate_type;    // NibType F32, F16 or BF16
  uint32_t candidate_stride;  // elements from row to row; 0 = cols
  uint32_t reference_type;    // NibType F32, F16 or BF16; 0 without REFERENCE
  uint32_t reference_stride;  // elements from row to row; 0 = cols
  float soft_cap;             // 0 = none, else 2^-10 to 2^20
} NibLossDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_LOSS_H
