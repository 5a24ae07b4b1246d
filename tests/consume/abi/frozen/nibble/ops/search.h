// NIB_OP_SEARCH: scales of the least squared error, found by trying smaller ranges than those of the elements.
#ifndef NIBBLE_OPS_SEARCH_H
#define NIBBLE_OPS_SEARCH_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { NIB_OP_SEARCH = 24 };

// NibSearchDesc.flags
enum {
  // The aux range begins with a NibStatus that the run adds to: non-finite elements, and scales that saturate.
  NIB_SEARCH_STATUS = 1u << 0,
  // A run is columns of all rows instead of rows of all columns: NibRun.first_row is its first column, n their number.
  // It finds the scales of the groups that begin in these columns, and reads all elements of the groups. So scales for
  // NIB_OP_GPTQ can be found from its RESULT, an fp32 matrix, before the run of its COLUMNS stage that reaches the
  // group.
  NIB_SEARCH_COLUMNS = 1u << 1
};

enum { NIB_SEARCH_MAX_STEPS = 256 };

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
