// Interface of convert.comp: converts dense elements to another dense type.
//   WG           invocations of a workgroup, a power of two
//   OCTETS       runs of eight elements per invocation, 1 to 4
//   SOURCE_TYPE  NibType of the source
//   RESULT_TYPE  NibType of the result
//   SATURATE     finite elements beyond the result type's range become its largest number
//   STATUS       the aux range begins with a NibStatus
//   VEC          the dense rows allow loads and stores of four elements
//   WIDE         dense rows of 16-bit types allow loads and stores of eight elements
//   FULL         every run is whole: cols is a multiple of eight
//   FLATTEN      both matrices are one row of rows * cols elements
#ifndef NIB_OPS_CONVERT_H
#define NIB_OPS_CONVERT_H

#include "common/interface.h"

#define CONVERT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, OCTETS, 2u) \
  X(2, uint, SOURCE_TYPE, 0u) \
  X(3, uint, RESULT_TYPE, 0u) \
  X(4, nib_bool, SATURATE, false) \
  X(5, nib_bool, STATUS, false) \
  X(6, nib_bool, VEC, false) \
  X(7, nib_bool, WIDE, false) \
  X(8, nib_bool, FULL, false) \
  X(9, nib_bool, FLATTEN, false)

#ifdef __cplusplus
namespace nib {
#endif
struct ConvertPush {
  NibPushHead head;
  uint cols;
  uint source_stride;  // elements from row to row
  uint result_stride;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
