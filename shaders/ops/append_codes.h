// Interface of append_codes.comp: writes rows of codes into a cache, each at a row of its own.
//   WG           invocations of a workgroup, a power of two, at least 4
//   SOURCE_TYPE  NibType of the source
//   VEC          the source's rows allow loads of four elements
//   WIDE         a 16-bit source's rows allow loads of eight elements
//   FLAGS        NIB_WEIGHTS_* of the cache
//   GROUP        elements that share a scale: a multiple of NIB_RUN
// A row of the cache has its codes first, then fp16 scales, then with zero points a byte for each, in whole words.
#ifndef NIB_OPS_APPEND_CODES_H
#define NIB_OPS_APPEND_CODES_H

#include "common/interface.h"

#define APPEND_CODES_SPEC(X)   \
  X(0, uint, WG, 128u)         \
  X(1, uint, SOURCE_TYPE, 0u)  \
  X(2, nib_bool, VEC, false)   \
  X(3, nib_bool, WIDE, false)  \
  X(4, uint, FLAGS, 0u)        \
  X(5, uint, GROUP, 32u)

#ifdef __cplusplus
namespace nib {
#endif
struct AppendCodesPush {
  NibPushHead head;
  uint cols;
  uint source_stride;  // elements from token to token
  uint groups;         // of a row
  uint token_items;    // groups, rounded up to a multiple of 4
  uint row_words;
  uint scales_word;  // of a row
  uint zeros_word;
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
