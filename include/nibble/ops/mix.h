// NIB_OP_MIX: weighted sums of rows, as a mixture of experts adds up the outputs of those that a token chose.
#ifndef NIBBLE_OPS_MIX_H
#define NIBBLE_OPS_MIX_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_MIX 27u

#define NIB_MIX_MAX_COUNT 64u

typedef enum NibMixWeighting {
  NIB_MIX_SOFTMAX_ALL = 0,     // e^(logit - LOG_SUM): the softmax over all logits of a row, of which these are some
  NIB_MIX_SOFTMAX_CHOSEN = 1,  // the softmax over the `count` logits
  NIB_MIX_SIGMOID = 2,         // 1 / (1 + e^-logit)
  NIB_MIX_WEIGHTING_MAX_ENUM = 0x7fffffff
} NibMixWeighting;

// NibMixDesc.flags

// The sum is added to the previous content of the result.
#define NIB_MIX_RESIDUAL (1u << 0)

// result[r, c] = sum over j of weight[r, j] * source[r * count + j, c]. All numbers are fp32. NibRun.n = rows of the
// run, which become rows first_row.. of OUTPUT. INPUT, whose parts follow each other at multiples of 256 bytes:
//   NIB_PART_SOURCE   [rows * count, cols]
//   NIB_PART_SECOND   logits [rows, count]. NIB_OP_SELECT makes them, and LOG_SUM
//   NIB_PART_LOG_SUM  [rows]; only SOFTMAX_ALL
// OUTPUT NIB_PART_RESULT [rows, cols].
//
// Bounded. With x the exponents of e above (SOFTMAX_CHOSEN: logit - the largest of the row), a result differs from the
// exact one by at most
//   (2^-18 + 2^-22 * (max of |x| + count)) * sum of |weight * source| + 2^-100 * sum of |source|
//   + 2^-22 * (|previous| + |result|)
// It is the same from run to run on one device. Results of a row whose numbers are not all finite are undefined.
typedef struct NibMixDesc {
  uint32_t op;          // NIB_OP_MIX
  uint32_t desc_bytes;  // sizeof(NibMixDesc)
  uint32_t flags;       // NIB_MIX_RESIDUAL
  uint32_t rows;
  uint32_t cols;
  uint32_t count;          // rows of the source to a row of the result, 1 to NIB_MIX_MAX_COUNT
  uint32_t weighting;      // NibMixWeighting
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t result_stride;  // elements from row to row; 0 = cols
} NibMixDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_MIX_H
