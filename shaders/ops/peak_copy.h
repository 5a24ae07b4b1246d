// Interface of peak_copy.comp.
//   WG           invocations of a workgroup
//   STEPS        uvec4 per invocation
#ifndef NIB_OPS_PEAK_COPY_H
#define NIB_OPS_PEAK_COPY_H

#include "common/interface.h"

#define PEAK_COPY_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, STEPS, 4u)

#ifdef __cplusplus
namespace nib {
#endif
struct PeakCopyPush {
  NibPushHead head;
  uint count;  // uvec4 in all
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
