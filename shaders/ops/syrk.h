// Interface of syrk.comp: a symmetric rank-k update of one triangle of a matrix.
//   WG           BM / 8 * 16 invocations
//   SOURCE_TYPE  NibType of the source
//   BM           rows of a tile, a multiple of 8
//   VEC          source rows allow loads of four elements
//   WIDE         source rows of a 16-bit type allow loads of eight elements
//   QUADS        rows of the result allow loads and stores of four elements
//   MASKED       a bit per source row says whether it counts
//   UPPER        the update of a factorization, else that of a Hessian; see syrk.comp
#ifndef NIB_SHADERS_OPS_SYRK_H
#define NIB_SHADERS_OPS_SYRK_H

#include "common/interface.h"

// Columns of a tile, and source rows of a step.
#define NIB_SYRK_COLS 64u
#define NIB_SYRK_STEP 16u

#define SYRK_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, BM, 64u) \
  X(3, nib_bool, VEC, false) \
  X(4, nib_bool, WIDE, false) \
  X(5, nib_bool, QUADS, false) \
  X(6, nib_bool, MASKED, false) \
  X(7, nib_bool, UPPER, false)

#ifdef __cplusplus
namespace nib {
#endif
struct SyrkPush {
  NibPushHead head;    // rows: source rows of the run; UPPER: columns of the factorization's run
  uint cols;           // of the result
  uint source_stride;  // elements from row to row
  uint source_word;    // first words of parts
  uint result_word;
  uint diagonal_word;
  uint mask_word;
  uint window_row;   // first source row of the window
  uint window_rows;  // source rows of a window
  uint block;        // UPPER: columns of a block
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
