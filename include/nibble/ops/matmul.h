// NIB_OP_MATMUL: a linear layer with quantized or dense weights and dense activations.
#ifndef NIBBLE_OPS_MATMUL_H
#define NIBBLE_OPS_MATMUL_H

#include <nibble/ops/product.h>
#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_OP_MATMUL 8u

// INPUT dense [tokens, cols] times WEIGHTS [rows, cols] -> OUTPUT dense [tokens, rows]:
// y[t, r] = sum over c of w[r, c] * x[t, c], then bias, activation and residual (NIB_PRODUCT_*), in one run.
// NibRun.n = tokens. Weights of any format, or dense (NIB_FORMAT_DENSE).
// One plan serves all numbers of tokens up to `tokens` (NIB_PRODUCT_ONE_KERNEL).
//
// Bounded. Sums are accumulated in fp32 in an order that depends on the kernel. They differ from exact sums by at most
// (cols + 2) * 2^-23 * sum of |w x| before the activation, and are the same from run to run on one device. Where
// weights are (code - zero) * scale (integer formats, ternary, Q4_0, Q5_0 and Q8_0), |w| in it is |w| + |zero scale|,
// because a kernel may take the zero from its sums; zero counts from the lowest code and is 8 for symmetric 4-bit
// codes. GELU and SiLU add at most 2^-19 of their argument. The result is rounded once to its type, half-even. With
// fp16 activations and more than 8 tokens a GPU may round weights to fp16, which adds 2^-11 * sum of |w x|; weights
// beyond fp16 are infinite then. Results of a token whose activations are not all finite are undefined, as are sums
// beyond fp32. Zero groups count as 0.
//
// batch > 1: that many products of one shape. WEIGHTS is one blob of batch * rows rows; INPUT is [batch, tokens, cols],
// OUTPUT [batch, tokens, rows], bias [batch, rows]. Each range must then fit one storage range.
// Activations as codes: input.format FP8 or FP8_E5M2 (arXiv 2209.05433). INPUT is then a blob of [batch * tokens, cols]
// as NIB_OP_QUANTIZE writes it, with TENSOR, ROW (per token) or GROUP scales, not FLAT. The codes are decoded into
// scratch as NIB_OP_DEQUANTIZE decodes them, to input_type; a value beyond fp16 is infinite there. Then they are
// multiplied. NIB_PRODUCT_ORDER: the columns of the weights lie in an order of their own, as GPTQ's act-order leaves
// them once they are sorted by group (nibOrderFromGroupIndex). Column k of all matrices is multiplied by input column
// order[k]; an entry >= cols counts as an activation of 0. This copies the activations to scratch. FLAT: a row must be
// whole groups and a multiple of 32 elements.
//
// choices > 0: a mixture of experts (arXiv 1701.06538), whose matrices tokens choose by number. WEIGHTS is one blob of
// batch * rows rows, 1 to NIB_MATMUL_MAX_EXPERTS matrices, in windows of any size. NIB_PART_SOURCE of INPUT is dense
// [tokens, cols], or with NIB_PRODUCT_EACH_INPUT [tokens * choices, cols], NIB_PART_INDICES uint32[tokens, choices]:
// matrix numbers; numbers from batch on count as batch - 1. OUTPUT is fp32 [tokens * choices, rows]; NibRun.first_row
// counts tokens. Dense activations, bias and activation as above; no residual, no order, no codes; weights not COLUMN,
// FLAT or NESTED. A run reads only the matrices that are chosen, each once for up to 8 of the tokens that chose it.
#define NIB_MATMUL_MAX_EXPERTS 1024u
#define NIB_MATMUL_MAX_CHOICES 64u

typedef struct NibMatmulDesc {
  uint32_t op;             // NIB_OP_MATMUL
  uint32_t desc_bytes;     // sizeof(NibMatmulDesc)
  uint32_t flags;          // NIB_PRODUCT_*
  uint32_t rows;           // M, output channels
  uint32_t cols;           // K, inputs
  uint32_t tokens;         // N, the most a run may have
  uint32_t batch;          // matrices; 0 = 1
  uint32_t input_type;     // NibType F32, F16 or BF16; of codes, the type they are decoded to
  uint32_t input_stride;   // elements from token to token; 0 = cols; of codes 0
  uint32_t result_type;    // NibType F32, F16 or BF16
  uint32_t result_stride;  // elements from token to token; 0 = rows (16-bit types: rounded up to even)
  uint32_t activation;     // NibActivation
  NibWeights weights;
  NibWeights input;  // all 0: dense activations; else codes
  uint32_t choices;  // matrices that each token chooses; 0 = none: all matrices have tokens of their own
} NibMatmulDesc;

// NIB_PART_ORDER of a GPTQ layer whose column c belongs to group group_index[c] (its g_idx): the columns sorted by
// group, those of one group in ascending order. The weights are to be kept in this column order, in groups of
// group_size. group_index and out_order: uint32[cols], separate buffers. Returns NIB_ERROR_INVALID_ARGUMENT, with
// out_order undefined, unless each of the ceil(cols / group_size) groups has group_size columns (the last group: the
// rest). Thread-safe.
NIB_API NibResult nibOrderFromGroupIndex(const uint32_t* group_index, uint32_t cols, uint32_t group_size,
                                         uint32_t* out_order);

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_MATMUL_H
