// Interface of peak_fma.comp.
//   WG           invocations of a workgroup
#ifndef NIB_OPS_PEAK_FMA_H
#define NIB_OPS_PEAK_FMA_H

#include "common/interface.h"

#define PEAK_FMA_SPEC(X) \
  X(0, uint, WG, 128u)

#ifdef __cplusplus
namespace nib {
#endif
struct PeakFmaPush {
  NibPushHead head;
  uint steps;  // of 48 multiply-adds per invocation
  uint seed;   // fp32 bits near 1, unknown to the compiler
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
