// NIB_OP_INT8_GEMM: a product of int8 codes with integer sums.
#ifndef NIBBLE_OPS_INT8_GEMM_H
#define NIBBLE_OPS_INT8_GEMM_H

#include <nibble/ops/product.h>
#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_INT8_GEMM 9u

// Results of integer products beside F32, F16 and BF16 of NibType.
typedef enum NibInt8Result {
  NIB_INT8_RESULT_I32 = 8,  // the sums themselves
  NIB_INT8_RESULT_I8 = 9,   // requantized: int8, four to a word
  NIB_INT8_RESULT_U8 = 10,  // requantized: uint8
  NIB_INT8_RESULT_MAX_ENUM = 0x7fffffff
} NibInt8Result;

// OUTPUT [tokens, rows] = INPUT [tokens, cols] * WEIGHTS^T in integers. NibRun.n = tokens, first_row.. of input and
// output.
// WEIGHTS: a blob of int8 or uint8 codes as NIB_OP_QUANTIZE writes it; then, if wanted, fp32 NIB_PART_BIAS and fp32
// NIB_PART_TABLE[256], each at a multiple of 256 bytes. INPUT: a blob of int8 or uint8 codes of [tokens, cols]:
// NIB_PART_INPUT_CODES, _SCALES, _ZEROS; bytes after a row's last code are ignored. OUTPUT: tokens start on words, and
// bytes of a token's last word beyond `rows` are 0.
// Both operands: granularity TENSOR, ROW (per output channel, per token) or GROUP, symmetric or ASYMMETRIC; not FLAT.
//
// A sum is that of (x - zero of x) * (w - zero of w), exact. cols * max|x - zero| * max|w - zero| must stay below 2^31,
// where a maximum is 128 (127 if NARROW, 255 if ASYMMETRIC); with GROUP the length of a segment takes the place of
// cols. Then, in fp32, half-even, in this order (LLM.int8(), arXiv 2208.07339, without merging the scales):
//   y = (float(sum) * scale of x) * scale of w; with GROUP the scaled sums of a row's segments are added in ascending
//       order; a segment has as many columns as the greatest common divisor of both group sizes
//   y = y + bias; y = activation(y); y = y + the previous content of OUTPUT (RESIDUAL)
//   result: rounded to the type, or clamp(roundEven(y * (1 / result_scale)) + result_zero), as NIB_OP_QUANTIZE rounds
// Products and sums below 2^-126 are +0. Those of 2^127 or more become the largest number below 2^127, as do bias and
// residual. A NaN or infinity in the bias counts as 0; one in the residual stays.
// Bit-exact, except GELU, GELU_TANH and SILU with results F32, F16 and BF16: their value is off by at most 2^-19 * |y|
// before it is rounded. Requantized results take these three from the table and are exact: y is rounded to a code of
// table_scale and table_zero, and TABLE[code], as nibFillActivationTable fills it, is the activation's value.
//
// batch > 1: that many products at once. WEIGHTS has batch * rows rows (and biases), INPUT and OUTPUT batch * tokens;
// matrix b begins at row b * rows and at token b * tokens; all have the run's n tokens. Each range must then fit one
// storage range. Without a batch, weights or input must fit (with their parameters); windows cover the other.
typedef struct NibInt8GemmDesc {
  uint32_t op;             // NIB_OP_INT8_GEMM
  uint32_t desc_bytes;     // sizeof(NibInt8GemmDesc)
  uint32_t flags;          // NIB_PRODUCT_*
  uint32_t rows;           // output channels
  uint32_t cols;           // inputs
  uint32_t tokens;         // the most tokens a run may have
  uint32_t batch;          // 0 = 1
  uint32_t input_stride;   // codes from token to token, a multiple of 4; 0 = cols rounded up to that
  uint32_t result_type;    // NibType F32, F16, BF16, or NibInt8Result; I32 takes no flags, activation or GROUP
  uint32_t result_stride;  // elements from token to token; 0 = rows, rounded up so that tokens start on words; else a
                           // multiple of 2 for 16-bit types and of 4 for codes, except for a single token
  uint32_t activation;     // NibActivation
  float result_scale;      // I8, U8: of the result's codes, 2^-60..2^60; else 0
  int32_t result_zero;     // I8: -128..127, U8: 0..255; else 0
  float table_scale;       // I8, U8 with GELU, GELU_TANH or SILU: of the codes that index the table; else 0
  int32_t table_zero;      // 0..255
  NibWeights weights;
  NibWeights input;
} NibInt8GemmDesc;

// NIB_PART_TABLE of a description with requantized results and GELU, GELU_TANH or SILU: out_table[256], entry c is the
// activation of (c - table_zero) * table_scale, computed in fp64 and rounded to fp32. Thread-safe.
NIB_API NibResult nibFillActivationTable(const NibInt8GemmDesc* desc, float* out_table);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_INT8_GEMM_H
