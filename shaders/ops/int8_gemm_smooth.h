// Interface of int8_gemm_smooth.comp: that of int8_gemm.comp.
#ifndef NIB_OPS_INT8_GEMM_SMOOTH_H
#define NIB_OPS_INT8_GEMM_SMOOTH_H

#include "ops/int8_gemm.h"

#define INT8_GEMM_SMOOTH_SPEC(X) INT8_GEMM_SPEC(X)

#ifdef __cplusplus
namespace nib {
using Int8GemmSmoothPush = NibInt8Push;
}  // namespace nib
#endif
#endif
