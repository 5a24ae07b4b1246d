// NIB_OP_NORM: RMS norm or layer norm of rows, with a residual and an int8 result if wanted.
#ifndef NIBBLE_OPS_NORM_H
#define NIBBLE_OPS_NORM_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_NORM 14u

// NibNormDesc.flags

// Layer norm (arXiv 1607.06450): the row's mean is subtracted. Without it, RMS norm (arXiv 1910.07467).
#define NIB_NORM_MEAN (1u << 0)
// WEIGHTS holds NIB_PART_GAIN, fp32[cols].
#define NIB_NORM_GAIN (1u << 1)
// WEIGHTS holds NIB_PART_BIAS, fp32[cols], after the gain at a multiple of 256 bytes.
#define NIB_NORM_BIAS (1u << 2)
// INPUT holds NIB_PART_RESIDUAL_IN after the source, OUTPUT holds NIB_PART_RESIDUAL_OUT after the result: the sum
// of source and residual is stored there, and the sum is normed.
#define NIB_NORM_RESIDUAL (1u << 3)
// The result is int8 codes with an fp32 scale per row, granularity ROW: NIB_PART_RESULT can be NIB_PART_INPUT_CODES,
// and NIB_PART_RESULT_SCALES NIB_PART_INPUT_SCALES, of NIB_OP_INT8_GEMM.
#define NIB_NORM_CODES (1u << 4)

// INPUT dense [run rows, cols] -> OUTPUT [rows, cols]. NibRun.n = rows of the run, which become rows first_row.. of
// OUTPUT. Parts of one role follow each other at multiples of 256 bytes.
//   x = source, or with RESIDUAL source + residual in fp32, rounded half-even to residual_type; stored in RESIDUAL_OUT
//   m = the mean of x with MEAN, else 0; d = sqrt(mean of (x - m)^2 + epsilon)
//   y = (x - m) / d * gain + bias
//   result: y rounded to result_type, or with CODES the codes and scales of NIB_OP_QUANTIZE for a row of y
// RESIDUAL_OUT may be RESIDUAL_IN or the source in place, if both have the same type and stride.
//
// RESIDUAL_OUT is exact, except that numbers below 2^-126 may count as 0. y is bounded: its error is at most
//   (cols + 8) * 2^-23 * |gain| * (|x - m| + mean |x|) / d + 2^-23 * (|y| + |bias|)
// before it is rounded; without MEAN, mean |x| counts as 0. A code times its scale is within half a scale of such a y.
// Results are the same from run to run on one device. Results of a row whose elements are not all finite, or whose
// squares sum beyond fp32, are undefined.
typedef struct NibNormDesc {
  uint32_t op;          // NIB_OP_NORM
  uint32_t desc_bytes;  // sizeof(NibNormDesc)
  uint32_t flags;       // NIB_NORM_*
  uint32_t rows;
  uint32_t cols;
  uint32_t source_type;      // NibType F32, F16 or BF16
  uint32_t source_stride;    // elements from row to row; 0 = cols
  uint32_t residual_type;    // NibType of RESIDUAL_IN and RESIDUAL_OUT; 0 without RESIDUAL
  uint32_t residual_stride;  // of both; 0 = cols (16-bit types: rounded up to even)
  uint32_t result_type;      // NibType F32, F16 or BF16; 0 with CODES
  uint32_t result_stride;    // 0 = cols (16-bit types: rounded up to even); 0 with CODES, whose rows start on words
  float epsilon;             // 2^-100 to 2^20
} NibNormDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_NORM_H
