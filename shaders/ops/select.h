// Interface of select.comp: finds the largest elements of rows with their columns.
//   WG           invocations of a workgroup, a power of two
//   KEEP         runs of eight elements that an invocation keeps in registers
//   MORE         there are more: they are read again in every pass
//   SOURCE_TYPE  NibType of the source
//   VEC          all rows allow loads of four elements
//   WIDE         rows of a 16-bit source allow loads of eight elements
//   ONE          a row's largest element alone
//   LIST         elements of the list that is ordered, at least those of a row's result
//   PIECES       a workgroup has a piece of a row, and writes to scratch
//   MERGE        it merges the pieces of a row
#ifndef NIB_OPS_SELECT_H
#define NIB_OPS_SELECT_H

#include "common/interface.h"

#define SELECT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, KEEP, 1u) \
  X(2, nib_bool, MORE, false) \
  X(3, uint, SOURCE_TYPE, 0u) \
  X(4, nib_bool, VEC, false) \
  X(5, nib_bool, WIDE, false) \
  X(6, nib_bool, ONE, false) \
  X(7, uint, LIST, 1u) \
  X(8, nib_bool, PIECES, false) \
  X(9, nib_bool, MERGE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct SelectPush {
  NibPushHead head;
  uint cols;
  uint stride;       // elements from row to row
  uint count;        // elements of a row's result
  uint pieces;       // of a row
  uint piece_cols;   // columns of a piece but the last, a multiple of eight
  uint source_word;  // first words of parts
  uint result_word;
  uint indices_word;
  uint log_sum_word;
  uint scratch_word;
  // Scratch of a row: {key, column} of the elements of all pieces, then for each piece its largest key, its sum of
  // exponentials in two words, and whether it has a NaN.
  uint scratch_stride;  // words from row to row
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
