// NIB_OP_QUANTIZE: dense matrix to quantized blob.
#ifndef NIBBLE_OPS_QUANTIZE_H
#define NIBBLE_OPS_QUANTIZE_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_QUANTIZE 1u

// NibQuantizeDesc.flags

// Scales (and zero points) are read from the blob instead of being found and written. A non-finite element becomes
// the code of 0, alone. Elements beyond the range of the codes saturate.
#define NIB_QUANTIZE_GIVEN_SCALES (1u << 0)
// The aux range begins with a NibStatus that the run adds to.
#define NIB_QUANTIZE_STATUS (1u << 1)
// The aux range has NIB_PART_IMPORTANCE, cols fp32 numbers that say how much errors of a column count. Formats whose
// scales are found by a search: the K formats and IQ4. Negative and non-finite numbers count as 0, and those below
// 2^-20 of a super-block's largest (iq4_nl: of a block's) as that.
#define NIB_QUANTIZE_IMPORTANCE (1u << 2)

// INPUT dense [run rows, cols] -> WEIGHTS blob of [rows, cols]. NibRun.n = rows of the run, which become rows
// first_row.. of the blob.
// Bit-exact. Rules: docs/numbers.md. The scale is rounded to scale_type first, and codes are made with the stored
// scale; half-even rounding. A group whose stored scale is below 2^-120, or that holds a NaN or infinity, becomes the
// zero group: scale 0, every code the code of 0. Ternary (BitNet b1.58, arXiv 2402.17764): -1, 0 or 1 times s, s = the
// mean of |x| (NARROW: the largest |x|); the nearest, ties to 0. Binary (XNOR-Net, arXiv 1603.05279): plus or minus s,
// s = the mean of |x|; plus where x is not below 0, so plus is the code of 0. The mean is an integer sum of |x|, each
// rounded to 2^-22 of the largest one's power of two; sum and count are rounded to fp32 and divided. It is off by less
// than 2^-21 of the largest |x|.
// Formats with super-blocks and iq4_nl find scales by ggml's searches, in an order of sums of their own: the errors are
// those of ggml, the bytes are not. Columns after the last count as zeros. With saturated_count go the fp16 numbers
// that did not fit.
typedef struct NibQuantizeDesc {
  uint32_t op;          // NIB_OP_QUANTIZE
  uint32_t desc_bytes;  // sizeof(NibQuantizeDesc)
  uint32_t flags;       // NIB_QUANTIZE_*
  uint32_t rows;        // of the blob
  uint32_t cols;
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from row to row; 0 = cols
  NibWeights weights;
  uint32_t run_rows;  // the most rows of one run, and the rows of INPUT; 0 = rows
} NibQuantizeDesc;

// Double quantization of existing fp32 scales on the host, for tensors that are quantized in pieces. The results are
// those of NIB_OP_QUANTIZE with NESTED. out_codes: count bytes. out_nested: 1 + ceil(count / 256) values, as in
// NIB_PART_NESTED. Thread-safe.
NIB_API void nibNestScales(const float* scales, uint32_t count, uint8_t* out_codes, float* out_nested);
// The inverse: out_scales[count]. Thread-safe.
NIB_API void nibUnnestScales(const uint8_t* codes, const float* nested, uint32_t count, float* out_scales);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_QUANTIZE_H
