// Shared by the product ops: the steps that follow a sum.
#ifndef NIBBLE_OPS_PRODUCT_H
#define NIBBLE_OPS_PRODUCT_H

#include <nibble/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// Flags of products. The steps follow the sum in this order: bias, activation, residual.

// fp32[rows] in NIB_PART_BIAS is added to the output channels.
#define NIB_PRODUCT_BIAS (1u << 0)
// The previous content of OUTPUT, in the result's type, is added after the activation: a residual in place.
#define NIB_PRODUCT_RESIDUAL (1u << 1)
// NIB_OP_MATMUL only: uint32[cols] in NIB_PART_ORDER says by which input column each column of the weights is
// multiplied.
#define NIB_PRODUCT_ORDER (1u << 2)
// NIB_OP_DYNAMIC_GEMM only: AUX begins with a NibStatus that the run adds to.
#define NIB_PRODUCT_STATUS (1u << 3)
// Only the kernels that suit the description's tokens. Without it a plan of one matrix also has those that suit fewer
// tokens, where they differ, and a run takes the ones for its n: each count is as fast as on a plan made for it. With
// it the plan has fewer pipelines, and results of ops with an error bound are the same bytes for every n.
#define NIB_PRODUCT_ONE_KERNEL (1u << 4)
// NIB_OP_MATMUL with choices only: INPUT has a row for each choice of a token instead of one for each token.
#define NIB_PRODUCT_EACH_INPUT (1u << 5)

typedef enum NibActivation {
  NIB_ACTIVATION_NONE = 0,
  NIB_ACTIVATION_RELU = 1,
  NIB_ACTIVATION_RELU6 = 2,
  NIB_ACTIVATION_GELU = 3,       // x/2 (1 + erf(x / sqrt 2)) (arXiv 1606.08415)
  NIB_ACTIVATION_GELU_TANH = 4,  // the approximation by tanh of the same paper
  NIB_ACTIVATION_SILU = 5,       // x / (1 + exp(-x))
  NIB_ACTIVATION_MAX_ENUM = 0x7fffffff
} NibActivation;

#ifdef __cplusplus
}
#endif
#endif  // NIBBLE_OPS_PRODUCT_H
