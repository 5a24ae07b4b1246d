// NIB_OP_DYNAMIC_GEMM: a product that quantizes its activations per token (W8A8, W4A8, W4A4, LLM.int8()).
#ifndef NIBBLE_OPS_DYNAMIC_GEMM_H
#define NIBBLE_OPS_DYNAMIC_GEMM_H

#include <nibble/ops/product.h>
#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_DYNAMIC_GEMM 10u

// INPUT dense [tokens, cols] -> int8 codes per token -> NIB_OP_INT8_GEMM -> OUTPUT dense [tokens, rows]. NibRun.n =
// tokens. W8A8, W4A8 if the weights are int4 or uint4, W4A4 with NIB_WEIGHTS_FOUR_BITS. Each token gets the scale (and,
// ASYMMETRIC, zero point) and codes that NIB_OP_QUANTIZE gives a row of int8 with fp32 scales, so its result does not
// depend on other tokens. (Activations with scales per group of channels: NIB_OP_QUANTIZE, then NIB_OP_INT8_GEMM.) A
// token with a NaN or infinity counts as zeros; bias, activation and residual still apply. WEIGHTS is as in
// NIB_OP_INT8_GEMM; int4 and uint4 codes differ from their zero by 8 at most, by 15 if ASYMMETRIC. Scratch holds the
// codes. Exactness is that of NIB_OP_INT8_GEMM.
//
// outlier_threshold > 0 is LLM.int8() (arXiv 2208.07339, threshold 6 there). The first max_outliers elements of a token
// with |x| >= threshold get code 0 and do not count for its scale. For each of them, in ascending columns and fp32,
// y becomes y + x * ((code of w - zero point) * scale of w), after the scaled sums and before the bias; products and
// sums as in NIB_OP_INT8_GEMM. Further outliers stay among the codes. The original removes a column with an outlier in
// any token from the codes of all tokens and multiplies it in fp16; here each token has its own outliers.
// NIB_PRODUCT_STATUS: the status counts non-finite elements (their token has no outliers then), saturated scales and
// outliers.
typedef struct NibDynamicGemmDesc {
  uint32_t op;             // NIB_OP_DYNAMIC_GEMM
  uint32_t desc_bytes;     // sizeof(NibDynamicGemmDesc)
  uint32_t flags;          // NIB_PRODUCT_*
  uint32_t rows;           // output channels
  uint32_t cols;           // inputs
  uint32_t tokens;         // the most tokens a run may have
  uint32_t source_type;    // NibType F32, F16 or BF16
  uint32_t source_stride;  // elements from token to token; 0 = cols
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // as NibInt8GemmDesc's
  uint32_t activation;     // NibActivation
  uint32_t input_flags;    // NIB_WEIGHTS_ASYMMETRIC, NIB_WEIGHTS_NARROW or 0: how tokens are quantized; with
                           // NIB_WEIGHTS_FOUR_BITS, to codes of 4 bits
  NibWeights weights;
  float outlier_threshold;  // 2^-60..2^60, or 0 = no outliers. Not with ASYMMETRIC tokens
  uint32_t max_outliers;    // per token, at most cols; 0 = cols; 0 without a threshold
} NibDynamicGemmDesc;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_DYNAMIC_GEMM_H
