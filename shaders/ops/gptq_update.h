// Interface of gptq_update.comp: updates the columns beyond a block for the block's errors.
//   WG   invocations of a workgroup, 64
//   VEC  rows of RESULT and of the factor allow loads of four elements
#ifndef NIB_OPS_GPTQ_UPDATE_H
#define NIB_OPS_GPTQ_UPDATE_H

#include "common/interface.h"

#define GPTQ_UPDATE_SPEC(X) \
  X(0, uint, WG, 64u) \
  X(1, nib_bool, VEC, false)

#ifdef __cplusplus
namespace nib {
#endif
struct GptqUpdatePush {
  NibPushHead head;  // rows: the run's columns
  uint rows;         // of the matrix
  uint cols;
  uint block;          // columns
  uint tiles_per_row;  // tiles beyond the first block
  uint factor_word;
  uint result_word;
  uint errors_word;    // aux: errors, [block, rows]
  uint errors_stride;  // words from column to column
  uint window_row;     // first row of the factor's window
  uint window_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
