// Interface of matvec.comp: quantized or dense weights times few activations, y = x W'.
//   WG           invocations of a workgroup, a power of two
//   LANES        invocations that share a row's columns: 1, or a power of two up to WG; what of SUBGROUP is a subgroup's
//                size, or WG
//   ROWS         rows of a team of lanes: 2 or 4
//   TOKENS       rows of activations at a time: 1, 2, 4 or 8, ROWS * TOKENS at most 16
//   UNIT         runs of a lane that follow each other and share a scale
//   INPUT_TYPE   NibType of the activations
//   RESULT_TYPE  NibType of the result
//   SCALE_TYPE   NibType of the scales, or 4: bytes of double quantization; of dense weights, that of the weights
//   FLAGS        NibWeights flags
//   FULL         every run is whole, and so is every row of codes
//   COLUMN       scales of single columns
//   SPLIT        a tile has the columns of one of push.splits parts, and writes fp32 sums alone
//   BIAS, RESIDUAL, ACTIVATION   what follows the sums
#ifndef NIB_OPS_MATVEC_H
#define NIB_OPS_MATVEC_H

#include "common/interface.h"
#include "common/product_push.h"

#define MATVEC_SPEC(X) \
  X(0, uint, WG, 64u) \
  X(1, uint, LANES, 1u) \
  X(2, uint, ROWS, 4u) \
  X(3, uint, TOKENS, 1u) \
  X(4, uint, UNIT, 1u) \
  X(5, uint, INPUT_TYPE, 0u) \
  X(6, uint, RESULT_TYPE, 0u) \
  X(7, uint, SCALE_TYPE, 0u) \
  X(8, uint, FLAGS, 0u) \
  X(9, nib_bool, FULL, false) \
  X(10, nib_bool, COLUMN, false) \
  X(11, nib_bool, SPLIT, false) \
  X(12, nib_bool, BIAS, false) \
  X(13, nib_bool, RESIDUAL, false) \
  X(14, uint, ACTIVATION, 0u)

#endif
