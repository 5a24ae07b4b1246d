// Interface of int8_gemm.comp: products of codes in registers. Other constants are in common/int8_product.h.
//   TOKENS       tokens of an invocation, 1..8
//   LANES        invocations of a team, which share four channels: 1, or a power of two of at least TOKENS
#ifndef NIB_OPS_INT8_GEMM_H
#define NIB_OPS_INT8_GEMM_H

#include "common/int8_product.h"

#define INT8_GEMM_SPEC(X) \
  NIB_INT8_PRODUCT_SPEC(X) \
  X(18, uint, TOKENS, 8u) \
  X(19, uint, LANES, 1u)

#ifdef __cplusplus
namespace nib {
using Int8GemmPush = NibInt8Push;
}  // namespace nib
#endif
#endif
