// Interface of int8_gemm_matrices_smooth.comp: that of int8_gemm_matrices.comp.
#ifndef NIB_OPS_INT8_GEMM_MATRICES_SMOOTH_H
#define NIB_OPS_INT8_GEMM_MATRICES_SMOOTH_H

#include "ops/int8_gemm_matrices.h"

#define INT8_GEMM_MATRICES_SMOOTH_SPEC(X) INT8_GEMM_MATRICES_SPEC(X)

#ifdef __cplusplus
namespace nib {
using Int8GemmMatricesSmoothPush = NibInt8Push;
}  // namespace nib
#endif
#endif
