// Interface of quantize.comp: quantizes rows and groups in rows with scales it finds, in one dispatch.
//   WG           invocations of a workgroup, a power of two
//   LANES        invocations per team, 1..WG; a team takes one group at a time
//   PACK         neighbouring groups per team: those whose scales and zero points share words
//   KEEP         runs of a group that an invocation keeps in registers, 1 to 4
//   MORE         invocations have more runs than those and read the others twice
//   SOURCE_TYPE  NibType of the source
//   SCALE_TYPE   NibType of the scales
//   FLAGS        NibWeights flags
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of a 16-bit type allow loads of eight elements
//   FULL         every run is whole: cols is a multiple of the run
//   STATUS       the aux range begins with a NibStatus
#ifndef NIB_OPS_QUANTIZE_H
#define NIB_OPS_QUANTIZE_H

#include "common/interface.h"

#define QUANTIZE_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, LANES, 8u) \
  X(2, uint, PACK, 1u) \
  X(3, uint, KEEP, 4u) \
  X(4, uint, SOURCE_TYPE, 0u) \
  X(5, uint, SCALE_TYPE, 0u) \
  X(6, uint, FLAGS, 0u) \
  X(7, nib_bool, VEC, false) \
  X(8, nib_bool, FULL, false) \
  X(9, nib_bool, STATUS, false) \
  X(10, nib_bool, WIDE, false) \
  X(11, nib_bool, MORE, true)

#ifdef __cplusplus
namespace nib {
#endif
struct QuantizePush {
  NibPushHead head;
  uint cols;
  uint stride;  // elements from row to row
  uint group;  // elements per group
  uint groups_per_row;
  uint scale_row_stride;  // scales per row, with the padding of ALIGNED
  uint row_words;  // code words per row
  uint scales_word;  // first word of the scales in the blob
  uint zeros_word;
  uint blob_rows;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
