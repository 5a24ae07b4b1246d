// Interface of outliers.comp: quantizes tokens to int8 codes, with lists of the elements that are kept in fp32.
//   WG           invocations of a workgroup, a power of two
//   SOURCE_TYPE  NibType of the source
//   FLAGS        NibWeights flags
//   VEC          the dense rows allow loads of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   FULL         every run is whole: cols is a multiple of the run
//   STATUS       the aux range begins with a NibStatus
//   MOST         capacity of a token's list
#ifndef NIB_OPS_OUTLIERS_H
#define NIB_OPS_OUTLIERS_H

#include "common/interface.h"

#define OUTLIERS_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, FLAGS, 0u) \
  X(3, nib_bool, VEC, false) \
  X(4, nib_bool, WIDE, false) \
  X(5, nib_bool, FULL, false) \
  X(6, nib_bool, STATUS, false) \
  X(7, uint, MOST, 1u)

#ifdef __cplusplus
namespace nib {
#endif
struct OutliersPush {
  NibPushHead head;
  uint cols;
  uint stride;       // elements from token to token
  uint row_words;    // code words per token
  uint scales_word;  // one per token
  uint lists_word;   // 1 + 2 * MOST words per token: the count, then columns and fp32 bits
  uint threshold;    // fp32 bits
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
