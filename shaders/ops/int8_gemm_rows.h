// Interface of int8_gemm_rows.comp: products of codes, four whole rows to an invocation. The rest is in
// common/int8_product.h.
//   TOKENS       per invocation, 1..8
//   TURN         words of inputs that a subgroup loads at once, 4 or 8: it has a lane for each, or more; pieces and rows are
//                whole turns of 8
#ifndef NIB_OPS_INT8_GEMM_ROWS_H
#define NIB_OPS_INT8_GEMM_ROWS_H

#include "common/int8_product.h"

#define INT8_GEMM_ROWS_SPEC(X) \
  NIB_INT8_PRODUCT_SPEC(X) \
  X(18, uint, TOKENS, 8u) \
  X(19, uint, TURN, 4u)

#ifdef __cplusplus
namespace nib {
using Int8GemmRowsPush = NibInt8Push;
}  // namespace nib
#endif
#endif
