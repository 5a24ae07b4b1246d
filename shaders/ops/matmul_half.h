// Interface of matmul_half.comp: weights times many fp16 activations by cooperative matrices. Other constants are in
// common/float_product.h.
//   WG           SG * SGM * SGN invocations
//   SG           invocations of a subgroup
//   SGM, SGN     subgroups of a workgroup along rows and along tokens
//   FM, FN       matrices of a subgroup along rows and along tokens
//   CM, CN, CK   shape of the matrices, from the device's list: CM rows, CN tokens, CK columns
//   BK           columns of a step, a multiple of CK and of 8; WG is a multiple of BK / 8
//   WHOLE        every step is whole
//   WIDE         rows of activations are aligned for loads of eight
//   GROUP        columns sharing a scale, a multiple of 8; 0: a row has one
//   HALVES       scales are halves, and so are products of codes with them
#ifndef NIB_OPS_MATMUL_HALF_H
#define NIB_OPS_MATMUL_HALF_H

#include "common/float_product.h"

#define MATMUL_HALF_SPEC(X) \
  NIB_FLOAT_PRODUCT_SPEC(X) \
  X(9, uint, SG, 32u) \
  X(10, uint, SGM, 2u) \
  X(11, uint, SGN, 2u) \
  X(12, uint, FM, 2u) \
  X(13, uint, FN, 2u) \
  X(14, uint, CM, 16u) \
  X(15, uint, CN, 16u) \
  X(16, uint, CK, 16u) \
  X(17, uint, BK, 32u) \
  X(18, nib_bool, WHOLE, false) \
  X(19, nib_bool, WIDE, false) \
  X(20, uint, GROUP, 0u) \
  X(21, nib_bool, HALVES, false)

#ifdef __cplusplus
namespace nib {
using MatmulHalfPush = ProductPush;
}  // namespace nib
#endif
#endif
