// Interface of matmul.comp: weights times many activations through shared memory. Other constants are in
// common/float_product.h.
//   WG           (BM / 4) * (BN / TN) invocations
//   INPUT_TYPE   NibType of the activations
//   BM           rows of a tile, a multiple of 4
//   BN           tokens of a tile
//   TN           tokens of an invocation
//   GROUP        columns sharing a scale, a multiple of 8; 0: a row has one
#ifndef NIB_SHADERS_OPS_MATMUL_H
#define NIB_SHADERS_OPS_MATMUL_H

#include "common/float_product.h"

#define MATMUL_SPEC(X) \
  NIB_FLOAT_PRODUCT_SPEC(X) \
  X(9, uint, INPUT_TYPE, 0u) \
  X(10, uint, BM, 64u) \
  X(11, uint, BN, 64u) \
  X(12, uint, TN, 8u) \
  X(13, uint, GROUP, 0u)

#ifdef __cplusplus
namespace nib {
using MatmulPush = ProductPush;
}  // namespace nib
#endif
#endif
