// Interface of factor_product.comp: products of the rows above a block.
//   WG     BM / TM * (BLOCK / 4) invocations
//   BM     rows of a tile, a multiple of TM that divides 32
//   TM     rows of an invocation, 4 or 8
//   BLOCK  columns of a block, 32 or 64
//   KIND   NIB_FACTOR_...
//   VEC    rows of the result allow loads of four elements
#ifndef NIB_SHADERS_OPS_FACTOR_PRODUCT_H
#define NIB_SHADERS_OPS_FACTOR_PRODUCT_H

#include "common/interface.h"

// KIND
#define NIB_FACTOR_PANEL 0u          // rows of M
#define NIB_FACTOR_INVERSE_PANEL 1u  // rows of M times the inverse of the block
#define NIB_FACTOR_INVERSE 2u        // the inverse times that

#define NIB_FACTOR_STEP 32u  // columns of a step

#define FACTOR_PRODUCT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, BM, 32u) \
  X(2, uint, TM, 4u) \
  X(3, uint, BLOCK, 64u) \
  X(4, uint, KIND, 0u) \
  X(5, nib_bool, VEC, false)

#ifdef __cplusplus
namespace nib {
#endif
struct FactorProductPush {
  NibPushHead head;  // rows: columns up to the block's end
  uint cols;
  uint result_word;   // first words of parts
  uint inverse_word;  // in scratch: [BLOCK, BLOCK]
  uint panel_word;    // in scratch: PANEL [BLOCK, panel_stride], else [cols, BLOCK]
  uint panel_stride;  // a multiple of four
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
