// Interface of errors.comp: error statistics of a candidate against a reference, per tile of 1024 elements.
//   WG                invocations of a workgroup; without SOLO 128, one for each leaf of eight elements
//   REFERENCE_TYPE    NibType of the reference
//   CANDIDATE_TYPE    NibType of the candidate
//   REFERENCE_LAYOUT  0: any; 1: every whole leaf is eight neighbours from a multiple of eight on; 2: the same, and all
//                     rows are one
//   CANDIDATE_LAYOUT  likewise
//   SOLO              a tile per invocation, in two passes without exchange, instead of per workgroup
#ifndef NIB_OPS_ERRORS_H
#define NIB_OPS_ERRORS_H

#include "common/interface.h"

#define ERRORS_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, REFERENCE_TYPE, 0u) \
  X(2, uint, CANDIDATE_TYPE, 0u) \
  X(3, uint, REFERENCE_LAYOUT, 0u) \
  X(4, uint, CANDIDATE_LAYOUT, 0u) \
  X(5, nib_bool, SOLO, false)

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
