// Interface of nest.comp: double quantization of fp32 scales, in four phases.
//   WG     invocations of a workgroup, a power of two
//   PHASE  0 clears the sums, 1 finds the largest scale, 2 adds up the scales, 3 writes codes
#ifndef NIB_OPS_NEST_H
#define NIB_OPS_NEST_H

#include "common/interface.h"

#define NEST_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, PHASE, 0u)

#ifdef __cplusplus
namespace nib {
#endif
struct NestPush {
  NibPushHead head;
  uint count;        // scales
  uint scale_word;   // aux: the fp32 scales
  uint sum_word;     // aux: the largest scale, then the sum in three limbs
  uint code_word;    // first word of the codes in the blob
  uint nested_word;  // first word of the mean and the scales of blocks in the blob
};
#ifdef __cplusplus
}  // namespace nib
#endif

#endif
