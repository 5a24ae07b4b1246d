// Interface of int8_gemm_rows_smooth.comp: that of int8_gemm_rows.comp.
#ifndef NIB_OPS_INT8_GEMM_ROWS_SMOOTH_H
#define NIB_OPS_INT8_GEMM_ROWS_SMOOTH_H

#include "ops/int8_gemm_rows.h"

#define INT8_GEMM_ROWS_SMOOTH_SPEC(X) INT8_GEMM_ROWS_SPEC(X)

#ifdef __cplusplus
namespace nib {
using Int8GemmRowsSmoothPush = NibInt8Push;
}  // namespace nib
#endif
#endif
