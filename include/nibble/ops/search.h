// NIB_OP_SEARCH: scales of the least squared error, found by trying smaller ranges than those of the elements.
#ifndef NIBBLE_OPS_SEARCH_H
#define NIBBLE_OPS_SEARCH_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_SEARCH 24u

// NibSearchDesc.flags

// The aux range begins with a NibStatus that the run adds to: non-finite elements, and scales that saturate.
#define NIB_SEARCH_STATUS (1u << 0)
// A run is columns of all rows instead of rows of all columns: NibRun.first_row is its first column, n their number.
// It finds the scales of the groups that begin in these columns, and reads all elements of the groups. So scales for
// NIB_OP_GPTQ can be found from its RESULT, an fp32 matrix, before the run of its COLUMNS stage that reaches the
// group.
#define NIB_SEARCH_COLUMNS (1u << 1)
// INPUT holds NIB_PART_HESSIAN after NIB_PART_SOURCE: H = sum of x x^T of the inputs that the weights are multiplied
// by, fp32 [cols, cols], as NIB_OP_HESSIAN leaves it. Only the lower triangle is read. The error of a candidate is
// that of the group's part of the outputs, instead of the weights'. Not with FLAT.
#define NIB_SEARCH_HESSIAN (1u << 2)

#define NIB_SEARCH_MAX_STEPS 256u

// INPUT dense [run rows, cols] -> WEIGHTS NIB_PART_SCALES and NIB_PART_ZEROS of the blob of [rows, cols], which
// NIB_OP_QUANTIZE and NIB_OP_GPTQ take with GIVEN_SCALES. Codes keep their bytes. NibRun.n = rows of the run, which
// become rows first_row.. of the blob; the input begins with the run's first row. COLUMNS: the input has all rows.
//
// A group's candidates are p[i] = 1 - i * d for i = 0 .. steps - 1, with d = (1 - least) / steps. Candidate i has the
// scale (and zero point) that NIB_OP_QUANTIZE finds for a group whose minimum, maximum and largest magnitude are this
// group's times p[i]. Its error is the sum of (x - q)^2 over the group's elements x, where q is the value of x's code
// with that scale: elements beyond the range saturate. The first candidate of the least error is stored.
// The grid is that of the published GPTQ code (arXiv 2210.17323), which sums |x - q|^2.4 instead.
//
// Bit-exact. Every operation is rounded to fp32; products p[i] * x and squares below 2^-126 count as 0. Element k of a
// group belongs to partial sum k % 4. A partial sum takes its elements in order, and the error is (s0 + s1) + (s2 +
// s3). A group whose largest magnitude is below 2^-40, or from 2^40 on, or that holds a NaN or infinity, is not
// searched: it has the scale that NIB_OP_QUANTIZE finds.
//
// HESSIAN: the error is the sum of h[i][j] * e[i] * e[j] over the group's columns i and j, with e = x - q. It is the
// sum of (e . x)^2 over the tokens of H, so the search for clipped ranges of AWQ (arXiv 2306.00978) for all tokens at
// once (there: least 0.5, steps 10). A group is taken in pieces of 256 columns from its first on: entries of H between
// two pieces count as 0, so that groups of long rows take time in proportion to their length. Exactly:
//   e is divided by the power of two of the group's largest magnitude; below 2^-24 it counts as 0
//   h is divided by the power of two of the largest entry of the group's diagonal; an entry counts as 0 if it is then
//   below 2^-32, or 4 or more, or not finite. Where the diagonal has an entry that is not finite, or only entries below
//   2^-126 (columns without inputs), H is the identity
//   t[i] = 2 * (the sum of h[i][j] * e[j] over j < i in its order) + h[i][i] * e[i]; element i of the group adds
//   e[i] * t[i] to partial sum i % 16, s[k] becomes s[k] + s[k + 8], then s[k] + s[k + 4], + s[k + 2], + s[k + 1]
// No other number of these sums is below 2^-126. A group's columns of H must fit one storage range.
//
// Refused: formats whose scales are found by a rule of their own (NIB_FORMAT_OWN_SCALES) or are means
// (NIB_FORMAT_MEAN_SCALE), granularities other than ROW and GROUP, and NESTED, whose scales are nested after a search
// without it (nibNestScales).
typedef struct NibSearchDesc {
  uint32_t op;          // NIB_OP_SEARCH
  uint32_t desc_bytes;  // sizeof(NibSearchDesc)
  uint32_t flags;       // NIB_SEARCH_*
  uint32_t rows;        // of the blob
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  NibWeights weights;
  uint32_t run_rows;  // the most rows of one run, and the rows of INPUT; COLUMNS: the most columns; 0 = all
  uint32_t steps;     // number of candidates, up to NIB_SEARCH_MAX_STEPS; 0 = 80
  float least;        // lower limit of the candidates p[i], which all exceed it: from 1/16 to 1; 0 = 0.2
} NibSearchDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_SEARCH_H
