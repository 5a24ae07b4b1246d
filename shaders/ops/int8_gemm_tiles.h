// Interface of int8_gemm_tiles.comp: products of codes through shared memory. Other constants are in
// common/int8_product.h.
//   WG           128: 16 x 8 invocations
//   TOKENS       tokens of an invocation, 1..8
//   DEPTH        columns of a step, in units of 16
//   WHOLE        every step is whole
#ifndef NIB_OPS_INT8_GEMM_TILES_H
#define NIB_OPS_INT8_GEMM_TILES_H

#include "common/int8_product.h"

#define INT8_GEMM_TILES_SPEC(X) \
  NIB_INT8_PRODUCT_SPEC(X) \
  X(18, uint, TOKENS, 8u) \
  X(19, uint, DEPTH, 4u) \
  X(20, nib_bool, WHOLE, false)

#ifdef __cplusplus
namespace nib {
using Int8GemmTilesPush = NibInt8Push;
}  // namespace nib
#endif
#endif
