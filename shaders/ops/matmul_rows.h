// Interface of matmul_rows.comp: quantized or dense weights times activations, y = x W', four whole rows to an invocation.
//   WG           invocations of a workgroup
//   TOKENS       rows of activations at a time: 1, 2, 4, 8 or 16
//   UNIT         runs that follow each other and share a scale; a row has whole units
//   TURN         runs whose activations are loaded at once, 1 or 2: of these a subgroup has a lane for every four columns, or
//                more; a unit has whole turns
//   INPUT_TYPE   NibType of the activations
//   RESULT_TYPE  NibType of the result
//   SCALE_TYPE   NibType of the scales, or 4: bytes of double quantization; of dense weights, that of the weights
//   FLAGS        NibWeights flags
//   FULL         every run is whole, and so is every row of codes
//   COLUMN       scales of single columns
//   BIAS, RESIDUAL, ACTIVATION   what follows the sums
#ifndef NIB_OPS_MATMUL_ROWS_H
#define NIB_OPS_MATMUL_ROWS_H

#include "common/interface.h"
#include "common/product_push.h"

#define MATMUL_ROWS_SPEC(X) \
  X(0, uint, WG, 32u) \
  X(1, uint, TOKENS, 8u) \
  X(2, uint, UNIT, 1u) \
  X(3, uint, TURN, 1u) \
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
using MatmulRowsPush = ProductPush;
}  // namespace nib
#endif
#endif
