// Interface of peak_dot4.comp.
//   WG           invocations of a workgroup
#ifndef NIB_OPS_PEAK_DOT4_H
#define NIB_OPS_PEAK_DOT4_H

#include "common/interface.h"

#define PEAK_DOT4_SPEC(X) \
  X(0, uint, WG, 128u)

#ifdef __cplusplus
namespace nib {
#endif
struct PeakDot4Push {
  NibPushHead head;
  uint steps;  // of 64 dot products (256 multiply-adds) per invocation
  uint seed;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
