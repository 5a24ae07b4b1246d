// Interface of matmul.comp: quantized or dense weights times many activations, y = x W', tile by tile.
//   WG           invocations of a workgroup: (BM / 4) * (BN / TN)
//   BM           rows of a tile, a multiple of 4
//   BN           tokens of a tile
//   TN           tokens of an invocation, a multiple of 4; it has four rows
//   INPUT_TYPE   NibType of the activations
//   RESULT_TYPE  NibType of the result
//   SCALE_TYPE   NibType of the scales, or 4: bytes of double quantization; of dense weights, that of the weights
//   FLAGS        NibWeights flags
//   FULL         every run is whole, and so is every row of codes
//   COLUMN       scales of single columns
//   BIAS, RESIDUAL, ACTIVATION   what follows the sums
#ifndef NIB_OPS_MATMUL_H
#define NIB_OPS_MATMUL_H

#include "common/interface.h"
#include "common/product_push.h"

#define MATMUL_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, BM, 64u) \
  X(2, uint, BN, 64u) \
  X(3, uint, TN, 8u) \
  X(4, uint, INPUT_TYPE, 0u) \
  X(5, uint, RESULT_TYPE, 0u) \
  X(6, uint, SCALE_TYPE, 0u) \
  X(7, uint, FLAGS, 0u) \
  X(8, nib_bool, FULL, false) \
  X(9, nib_bool, COLUMN, false) \
  X(10, nib_bool, BIAS, false) \
  X(11, nib_bool, RESIDUAL, false) \
  X(12, uint, ACTIVATION, 0u)

#ifdef __cplusplus
namespace nib {
using MatmulPush = ProductPush;
}  // namespace nib
#endif
#endif
