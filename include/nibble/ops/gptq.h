// NIB_OP_GPTQ: quantizes a weight matrix column by column and corrects the remaining columns (GPTQ, arXiv 2210.17323).
#ifndef NIBBLE_OPS_GPTQ_H
#define NIBBLE_OPS_GPTQ_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_GPTQ 23u

// NibGptqDesc.stage
typedef enum NibGptqStage {
  NIB_GPTQ_LOAD = 0,     // SOURCE -> RESULT, rows of W
  NIB_GPTQ_COLUMNS = 1,  // a block of columns of RESULT -> codes, scales and errors
  NIB_GPTQ_STORE = 2,    // codes in RESULT -> CODES, rows of W
  NIB_GPTQ_STAGE_MAX_ENUM = 0x7fffffff
} NibGptqStage;

// NibGptqDesc.flags

// Scales (and zero points) are read from the blob instead of being found and written.
#define NIB_GPTQ_GIVEN_SCALES (1u << 0)
// INPUT holds NIB_PART_ORDER: columns are quantized in the order order[0], order[1], ... Codes go back to their own
// columns, and column c has scale c / group. So scales must be given, unless a row has one scale.
#define NIB_GPTQ_ORDER (1u << 1)
// With ORDER: codes stay in the order in which columns are quantized, as NIB_PRODUCT_ORDER of NIB_OP_MATMUL takes
// them: column p of the blob is column order[p] of W, and has scale p / group.
#define NIB_GPTQ_KEEP_ORDER (1u << 2)
// INPUT holds NIB_PART_DIAGONAL: columns whose entry is 0 or denormal become zeros in LOAD.
#define NIB_GPTQ_DEAD (1u << 3)
// The scale of a group is found from its elements as they are before the run, without the corrections from columns of
// the same run, as the published code does it.
#define NIB_GPTQ_PARITY (1u << 4)
// No codes: RESULT holds differences D = W - Q instead of W, and COLUMNS computes the loss alone. WEIGHTS is empty,
// `weights` is all 0, and there is no STORE.
#define NIB_GPTQ_MEASURE (1u << 5)

// Three stages, each a plan of its own. They share one memory layout, so one set of buffers serves all of them:
//   INPUT    SOURCE    LOAD: dense W [run rows, cols]
//            FACTOR    COLUMNS: fp32 [cols, cols], the upper factor U of NIB_OP_FACTOR, H^-1 = U^T U
//            ORDER     with ORDER: uint32[cols], a permutation, position -> column of W
//            DIAGONAL  with DEAD: fp32[cols], the diagonal of H
//   OUTPUT   RESULT    fp32 [rows, cols]: W while it is quantized, column p at position p; in the end codes, as uint32
//            LOSS      fp32[rows]
//   WEIGHTS  CODES, SCALES, ZEROS: the blob
//   AUX      STATUS    NibStatus, to which LOAD adds non-finite elements and COLUMNS scales that saturate
//            SCRATCH
//
// LOAD. NibRun.n = rows of the run, which become rows first_row.. of RESULT: RESULT[r, p] = W[r, order[p]]. Elements
// below 2^-60, in dead columns and of columns that W lacks are 0. So are those that are not finite or reach 2^100,
// which are counted (first_nonfinite_not: in W, row 0 being the run's first).
//
// COLUMNS. NibRun.n = columns of the run, from position first_row on: `block` of them; the last run of a matrix takes
// the rest. first_row is a multiple of block. Runs go from 0 up, with a barrier between them. For every position p of
// the run in turn, with w = RESULT[r, p]:
//   scale  where a group begins: found from the group's elements of RESULT, as NIB_OP_QUANTIZE finds it, and stored
//   code   of w, as NIB_OP_QUANTIZE with given scales; q its value, as NIB_OP_DEQUANTIZE gives it
//   e      (w - q) / U[p, p], correctly rounded; 0 below 2^-60 or where U[p, p] counts as 0; at most 2^50
//   LOSS[r] += e * e; the run of position 0 sets it
//   RESULT[r, j] -= e * U[p, j] for every j > p, the product rounded, then the difference
//   RESULT[r, p] = the code; MEASURE: e
// An entry of U below 2^-40 in magnitude, infinite or NaN counts as 0, one above 2^40 as 2^40. RESULT must hold what
// LOAD leaves, or numbers that are 0 or of magnitudes from 2^-60 to 2^100. The result is the same for any block and any
// n, except with PARITY. The sum of LOSS is the trace of (W - Q) H (W - Q)^T.
//
// STORE. NibRun.n = rows of the run: rows first_row.. of RESULT become rows first_row.. of CODES.
//
// Bit-exact. With U = identity and no ORDER the blob is that of NIB_OP_QUANTIZE, if all elements are finite and none is
// below 2^-60. Formats that find scales by a rule of their own (NIB_FORMAT_OWN_SCALES) are refused, and so are
// granularities other than ROW and GROUP, FLAT, NESTED and FOUR_BITS.
typedef struct NibGptqDesc {
  uint32_t op;             // NIB_OP_GPTQ
  uint32_t desc_bytes;     // sizeof(NibGptqDesc)
  uint32_t flags;          // NIB_GPTQ_*
  uint32_t stage;          // NibGptqStage
  uint32_t rows;           // of W
  uint32_t cols;           // cols * cols is at most 2^32 - 2^21
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  uint32_t block;          // columns of a run: a multiple of 8 up to 128, and a multiple or divisor of the group size;
                           // 0 = the largest such block
  NibWeights weights;
} NibGptqDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_GPTQ_H
