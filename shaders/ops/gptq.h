// Interface of gptq.comp: quantizes a block of columns one after the other, and updates the block's later columns.
//   WG          invocations of a workgroup: four for each row
//   SLOTS       runs of eight columns of an invocation: the block has up to SLOTS * 32 columns
//   SCALE_TYPE  NibType of the scales
//   FLAGS       NibWeights flags
//   VEC         rows of RESULT and of the factor allow loads of four elements
//   FIND        scales are found where a group begins; else they are read
//   SCATTERED   neighbouring columns have scales of different groups, which a list in aux names
#ifndef NIB_OPS_GPTQ_H
#define NIB_OPS_GPTQ_H

#include "common/interface.h"

#define GPTQ_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SLOTS, 4u) \
  X(2, uint, SCALE_TYPE, 0u) \
  X(3, uint, FLAGS, 0u) \
  X(4, nib_bool, VEC, false) \
  X(5, nib_bool, FIND, true) \
  X(6, nib_bool, SCATTERED, false)

#ifdef __cplusplus
namespace nib {
#endif
struct GptqPush {
  NibPushHead head;  // rows: the run's columns
  uint rows;         // of the matrix
  uint cols;
  uint block;  // columns
  uint group;  // columns that share a scale
  uint groups_per_row;
  uint scale_row_stride;
  uint scales_word;
  uint zeros_word;
  uint factor_word;
  uint result_word;
  uint order_word;     // aux: groups of columns
  uint errors_word;    // aux: errors, [block, rows]
  uint errors_stride;  // words from column to column
  uint window_row;     // first row of the factor's window
  uint window_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
