// Interface of int8_gemm_matrices.comp: products of codes by cooperative matrices. Other constants are in
// common/int8_product.h.
//   WG           SGM * SGN subgroups
//   M, N, K      shape of the matrices, from the device's list: M tokens, N channels, K columns
//   SPAN_M       matrices of a subgroup along tokens
//   SPAN_N       matrices of a subgroup along channels
//   DEPTH        matrices of a step along columns: DEPTH * K is a multiple of 16, and divides segments if GROUPED
//   SGM, SGN     subgroups of a workgroup along tokens and along channels
//   WHOLE        every step is whole
#ifndef NIB_OPS_INT8_GEMM_MATRICES_H
#define NIB_OPS_INT8_GEMM_MATRICES_H

#include "common/int8_product.h"

#define INT8_GEMM_MATRICES_SPEC(X) \
  NIB_INT8_PRODUCT_SPEC(X) \
  X(18, uint, M, 16u) \
  X(19, uint, N, 16u) \
  X(20, uint, K, 16u) \
  X(21, uint, SPAN_M, 2u) \
  X(22, uint, SPAN_N, 2u) \
  X(23, uint, DEPTH, 2u) \
  X(24, uint, SGM, 2u) \
  X(25, uint, SGN, 2u) \
  X(26, nib_bool, WHOLE, false)

#ifdef __cplusplus
namespace nib {
using Int8GemmMatricesPush = NibInt8Push;
}  // namespace nib
#endif
#endif
