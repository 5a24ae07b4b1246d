// Interface of encode.comp: encodes dense elements with scales that exist already.
//   WG           invocations of a workgroup, a power of two
//   ROW_BLOCK    rows per invocation
//   SOURCE_TYPE  NibType of the source
//   SCALE_TYPE   NibType of the scales
//   FLAGS        NibWeights flags
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   FULL         every run is whole: cols is a multiple of the run
//   STATUS       the aux range begins with a NibStatus
//   GIVEN        the scales were not found from this data
//   COLUMN       one scale per column; requires TABLE
//   ONE          there is one scale
//   TABLE        reciprocals and zero points are read from a table in aux instead of being made from scales
#ifndef NIB_OPS_ENCODE_H
#define NIB_OPS_ENCODE_H

#include "common/interface.h"

#define ENCODE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, ROW_BLOCK, 1u) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, uint, SCALE_TYPE, 0u) \
  X(4, uint, FLAGS, 0u) \
  X(5, nib_bool, VEC, false) \
  X(6, nib_bool, FULL, false) \
  X(7, nib_bool, STATUS, false) \
  X(8, nib_bool, GIVEN, false) \
  X(9, nib_bool, COLUMN, false) \
  X(10, nib_bool, TABLE, false) \
  X(11, nib_bool, ONE, false) \
  X(12, nib_bool, WIDE, false)

#ifdef __cplusplus
namespace nib {
#endif
struct EncodePush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint group;  // elements sharing a scale
  uint scale_row_stride;  // scale index = row * scale_row_stride + col / group
  uint row_words;  // code words per row
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
  uint table_word;  // aux: {reciprocal, zero point} per scale
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
