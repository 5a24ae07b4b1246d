// Interface of matvec.comp: weights times few activations. Other constants are in common/float_product.h.
//   WG           a power of two
//   INPUT_TYPE   NibType of the activations
//   LANES        invocations of a team, which share a row's columns: 1, or a power of two up to WG. SUBGROUP takes only
//                1, the subgroup's size and WG
//   ROWS         rows of a team: 2 or 4
//   TOKENS       rows of activations at a time: 1, 2, 4 or 8, ROWS * TOKENS at most 16
//   UNIT         neighbouring runs of a lane that share a scale
//   WHOLE        rows consist of whole units, and of two runs of 32 columns a 16-byte load has the codes
//   GROUP        how columns find their group. Below 31: by a shift of as many bits; NIB_GROUP_ROW: a row has one
//                scale; NIB_GROUP_MULTIPLY: a column times push.group is below 2^32; NIB_GROUP_DIVIDE: any
//                push.group
//   SIGNED_BYTES the device converts signed bytes to floats as fast as unsigned ones
//   HALVES       unpackHalf2x16 keeps denormals (FloatModes)
//   CHOICES      not 0: a tile has TOKENS results of a group of up to CHOICES, of one matrix, whose record is in
//                scratch (matgroup.h). Rows of weights outside the window belong to another dispatch
//   SPLIT        a tile has the columns of one of push.splits parts and writes fp32 sums only, for matsum.comp
#ifndef NIB_OPS_MATVEC_H
#define NIB_OPS_MATVEC_H

#include "common/float_product.h"

#define NIB_GROUP_ROW 31u
#define NIB_GROUP_MULTIPLY 32u
#define NIB_GROUP_DIVIDE 33u

#define MATVEC_SPEC(X) \
  NIB_FLOAT_PRODUCT_SPEC(X) \
  X(9, uint, INPUT_TYPE, 0u) \
  X(10, uint, LANES, 1u) \
  X(11, uint, ROWS, 4u) \
  X(12, uint, TOKENS, 1u) \
  X(13, uint, UNIT, 1u) \
  X(14, nib_bool, SPLIT, false) \
  X(15, nib_bool, WHOLE, false) \
  X(16, uint, GROUP, NIB_GROUP_DIVIDE) \
  X(17, nib_bool, HALVES, false) \
  X(18, nib_bool, SIGNED_BYTES, false) \
  X(19, uint, CHOICES, 0u)

#ifdef __cplusplus
namespace nib {
using MatvecPush = ProductPush;
}  // namespace nib
#endif
#endif
