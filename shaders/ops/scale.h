// Interface of scale.comp: converts extents to scales and zero points, or given scales to a table.
//   WG           invocations of a workgroup, a power of two
//   SCALE_TYPE   NibType of the scales
//   FLAGS        NibWeights flags
//   STATUS       the aux range begins with a NibStatus
//   GIVEN        read scales and zero points instead of finding and writing them
//   TABLE        write {reciprocal, zero point} per scale to aux
//   PER_ROW      one scale per row of this run
#ifndef NIB_OPS_SCALE_H
#define NIB_OPS_SCALE_H

#include "common/interface.h"

#define SCALE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SCALE_TYPE, 0u) \
  X(2, uint, FLAGS, 0u) \
  X(3, nib_bool, STATUS, false) \
  X(4, nib_bool, GIVEN, false) \
  X(5, nib_bool, TABLE, false) \
  X(6, nib_bool, PER_ROW, false)

#ifdef __cplusplus
namespace nib {
#endif
struct ScalePush {
  NibPushHead head;
  uint count;  // scales, without PER_ROW
  uint extent_word;  // aux: NibExtent per scale
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
  uint table_word;
  uint scale_row_stride;  // PER_ROW: scales per row, with the padding of ALIGNED
  uint blob_rows;         // PER_ROW
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
