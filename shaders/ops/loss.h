// Interface of loss.comp: log-probabilities of targets, and the divergence of rows of logits.
//   WG              invocations of a workgroup, a power of two
//   SOURCE_TYPE     NibType of the candidate
//   REFERENCE_TYPE  NibType of the reference
//   VEC             all rows allow loads of four elements
//   WIDE            rows of a 16-bit candidate allow loads of eight elements
//   REFERENCE       there is a reference
//   CAP             logits have a soft cap
#ifndef NIB_OPS_LOSS_H
#define NIB_OPS_LOSS_H

#include "common/interface.h"

#define LOSS_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SOURCE_TYPE, 0u) \
  X(2, uint, REFERENCE_TYPE, 0u) \
  X(3, nib_bool, VEC, false) \
  X(4, nib_bool, WIDE, false) \
  X(5, nib_bool, REFERENCE, false) \
  X(6, nib_bool, CAP, false)

#ifdef __cplusplus
namespace nib {
#endif
struct LossPush {
  NibPushHead head;
  uint cols;
  uint candidate_stride;  // elements from row to row
  uint reference_stride;
  uint candidate_word;  // first words of parts
  uint reference_word;
  uint indices_word;
  uint result_word;
  uint cap_bits;  // fp32
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
