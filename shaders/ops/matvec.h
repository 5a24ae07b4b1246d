// Interface of matvec.comp: weights times few activations. Other constants are in common/float_product.h.
//   WG           a power of two
//   INPUT_TYPE   NibType of the activations
//   LANES        invocations of a team, which share a row's columns: 1, or a power of two up to WG. SUBGROUP takes only
//                1, the subgroup's size and WG
//   ROWS         rows of a team: 2 or 4
//   TOKENS       rows of activations at a time: 1, 2, 4 or 8, ROWS * TOKENS at most 16
//   UNIT         neighbouring runs of a lane that share a scale
//   SPLIT        a tile has the columns of one of push.splits parts and writes fp32 sums only, for matsum.comp
#ifndef NIB_OPS_MATVEC_H
#define NIB_OPS_MATVEC_H

#include "common/float_product.h"

#define MATVEC_SPEC(X) \
  NIB_FLOAT_PRODUCT_SPEC(X) \
  X(9, uint, INPUT_TYPE, 0u) \
  X(10, uint, LANES, 1u) \
  X(11, uint, ROWS, 4u) \
  X(12, uint, TOKENS, 1u) \
  X(13, uint, UNIT, 1u) \
  X(14, nib_bool, SPLIT, false)

#ifdef __cplusplus
namespace nib {
using MatvecPush = ProductPush;
}  // namespace nib
#endif
#endif
