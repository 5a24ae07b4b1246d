// Interface of rope.comp: rotary position embedding.
//   WG           invocations of a workgroup, a power of two
//   INTERLEAVED  a pair is two neighbours; else element i and i + rotary_size / 2
//   SOURCE_TYPE  NibType of the source
//   RESULT_TYPE  NibType of the result
//   VEC          an item is four pairs, or eight elements that are not rotated: rotary_size and head_size are multiples
//                of eight, and rows allow loads and stores of four elements. Else an item is two pairs or four elements
#ifndef NIB_OPS_ROPE_H
#define NIB_OPS_ROPE_H

#include "common/interface.h"

#define ROPE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, nib_bool, INTERLEAVED, false) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, uint, RESULT_TYPE, 0u) \
  X(4, nib_bool, VEC, false)

#ifdef __cplusplus
namespace nib {
#endif
struct RopePush {
  NibPushHead head;
  uint token_items;  // items of a token
  uint head_items;   // items of a head
  uint head_size;
  uint rotary_size;
  uint source_stride;  // elements from token to token
  uint result_stride;
  uint positions;    // rows of the table
  uint window_row;   // first row of the table's window
  uint window_rows;  // rows of a window
  uint table_word;   // first words of parts
  uint source_word;
  uint result_word;
  uint indices_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
