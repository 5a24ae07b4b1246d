// Interface of errors.comp: what a candidate lost against a reference, per tile of 1024 elements.
//   WG                128: the invocations of a workgroup, a leaf of eight elements each
//   REFERENCE_TYPE    NibType of the reference
//   CANDIDATE_TYPE    NibType of the candidate
//   REFERENCE_OCTETS  every whole leaf of the reference is eight neighbours from a multiple of eight on
//   CANDIDATE_OCTETS  so is the candidate's
#ifndef NIB_OPS_ERRORS_H
#define NIB_OPS_ERRORS_H

#include "common/interface.h"

#define ERRORS_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, REFERENCE_TYPE, 0u) \
  X(2, uint, CANDIDATE_TYPE, 0u) \
  X(3, nib_bool, REFERENCE_OCTETS, false) \
  X(4, nib_bool, CANDIDATE_OCTETS, false)

#ifdef __cplusplus
namespace nib {
#endif
struct ErrorsPush {
  NibPushHead head;
  uint cols;
  uint reference_stride;  // elements from row to row
  uint candidate_stride;
  uint candidate_word;  // first word of the candidate in the input range
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
