// Interface of append.comp: writes rows into a cache, each at a row of its own.
//   WG           invocations of a workgroup, a power of two
//   SOURCE_TYPE  NibType of the source
//   RESULT_TYPE  NibType of the cache
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of 16-bit types allow loads and stores of eight elements
#ifndef NIB_OPS_APPEND_H
#define NIB_OPS_APPEND_H

#include "common/interface.h"

#define APPEND_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, RESULT_TYPE, 0u) \
  X(3, nib_bool, VEC, false) \
  X(4, nib_bool, WIDE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct AppendPush {
  NibPushHead head;
  uint cols;
  uint source_stride;  // elements from token to token
  uint cache_stride;   // elements from row to row
  uint cache_rows;
  uint window_row;   // first row of the cache's window
  uint window_rows;  // rows of a window
  uint source_word;  // first words of parts
  uint result_word;
  uint indices_word;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
