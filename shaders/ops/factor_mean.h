// Interface of factor_mean.comp: the NibFactorInfo of a matrix.
//   WG  invocations of a workgroup, a power of two
#ifndef NIB_SHADERS_OPS_FACTOR_MEAN_H
#define NIB_SHADERS_OPS_FACTOR_MEAN_H

#include "common/interface.h"

// Words of a NibFactorInfo.
#define NIB_INFO_FAILED 0u
#define NIB_INFO_DEAD 1u
#define NIB_INFO_DAMP 2u
#define NIB_INFO_UNIT 3u
#define NIB_INFO_MEAN 4u
#define NIB_INFO_WORDS 8u

#define FACTOR_MEAN_SPEC(X) X(0, uint, WG, 128u)

#ifdef __cplusplus
namespace nib {
#endif
struct FactorMeanPush {
  NibPushHead head;
  uint cols;
  uint diagonal_word;  // first words of parts
  uint info_word;
  uint damp_bits;  // fp32: a fraction of the mean
};
#ifdef __cplusplus
}  // namespace nib
#endif
#endif
