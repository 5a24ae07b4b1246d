// Interface of matmul_rows.comp: weights times activations, four whole rows per invocation. Other constants are in
// common/float_product.h.
//   INPUT_TYPE   NibType of the activations
//   TOKENS       rows of activations at a time: 1, 2, 4, 8 or 16
//   UNIT         neighbouring runs that share a scale; a row is a multiple of UNIT runs
//   LOAD_RUNS    runs whose activations a subgroup loads at a time, 1 or 2. The subgroup has a lane for every four
//                columns of them; UNIT is a multiple of LOAD_RUNS
#ifndef NIB_OPS_MATMUL_ROWS_H
#define NIB_OPS_MATMUL_ROWS_H

#include "common/float_product.h"

#define MATMUL_ROWS_SPEC(X) \
  NIB_FLOAT_PRODUCT_SPEC(X) \
  X(9, uint, INPUT_TYPE, 0u) \
  X(10, uint, TOKENS, 8u) \
  X(11, uint, UNIT, 1u) \
  X(12, uint, LOAD_RUNS, 1u)

#ifdef __cplusplus
namespace nib {
using MatmulRowsPush = ProductPush;
}  // namespace nib
#endif
#endif
