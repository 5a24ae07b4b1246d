// Interface of int8_gemm_rows.comp: products of codes, four whole rows per invocation. Other constants are in
// common/int8_product.h.
//   TOKENS       tokens of an invocation, 1..8
//   LOAD_WORDS   input words that a subgroup loads at a time, 4 or 8, at most its size; with 8, segments and rows are
//                multiples of eight words
#ifndef NIB_OPS_INT8_GEMM_ROWS_H
#define NIB_OPS_INT8_GEMM_ROWS_H

#include "common/int8_product.h"

#define INT8_GEMM_ROWS_SPEC(X) \
  NIB_INT8_PRODUCT_SPEC(X) \
  X(18, uint, TOKENS, 8u) \
  X(19, uint, LOAD_WORDS, 4u)

#ifdef __cplusplus
namespace nib {
using Int8GemmRowsPush = NibInt8Push;
}  // namespace nib
#endif
#endif
