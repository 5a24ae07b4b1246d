// Interface of peak_coopmat.comp.
//   WG           invocations of a workgroup
//   M, N, K      shape of the matrices, from the device's list
#ifndef NIB_OPS_PEAK_COOPMAT_H
#define NIB_OPS_PEAK_COOPMAT_H

#include "common/interface.h"

#define PEAK_COOPMAT_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, M, 16u) \
  X(2, uint, N, 16u) \
  X(3, uint, K, 16u)

#ifdef __cplusplus
namespace nib {
inline
#endif
// Element i of four matrices, a signed number of `bits` bits: a multiplicative hash, so that elements differ.
int peakCoopmatElement(uint i, uint seed, uint bits) {
  return int((((i + 1u) * 2654435761u + seed * 40503u) >> 13) << (32u - bits)) >> int(32u - bits);
}

struct PeakCoopmatPush {
  NibPushHead head;
  uint steps;  // of 16 matrix multiply-adds per subgroup
  uint seed;
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
