// Interface of dynamic_gemm.comp: that of int8_gemm.comp, for dense tokens. X_CODES, X_SCALE, X_SEPARATE and OUTLIERS
// are 0.
//   SOURCE_TYPE  NibType of the tokens
//   SOURCE_VEC   tokens allow loads of four elements
//   SOURCE_WIDE  tokens of a 16-bit type allow loads of eight elements
//   SOURCE_FULL  cols is a multiple of the run of int8
//   FLAGS        NibWeights flags of the codes that the tokens become
//   RUNS         runs of a token in shared memory
#ifndef NIB_OPS_DYNAMIC_GEMM_H
#define NIB_OPS_DYNAMIC_GEMM_H

#include "ops/int8_gemm.h"

#define DYNAMIC_GEMM_SPEC(X) \
  INT8_GEMM_SPEC(X) \
  X(20, uint, SOURCE_TYPE, 0u) \
  X(21, nib_bool, SOURCE_VEC, false) \
  X(22, nib_bool, SOURCE_WIDE, false) \
  X(23, nib_bool, SOURCE_FULL, false) \
  X(24, uint, FLAGS, 0u) \
  X(25, uint, RUNS, 1u)

#ifdef __cplusplus
namespace nib {
using DynamicGemmPush = NibInt8Push;
}  // namespace nib
#endif
#endif
