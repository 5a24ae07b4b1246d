// Interface of matmul_half.comp: weights times many fp16 activations by cooperative matrices. Other constants are in
// common/float_product.h.
//   WG           SG * SGM * SGN invocations
//   SG           invocations of a subgroup
//   SGM, SGN     subgroups of a workgroup along rows and along tokens
//   FM, FN       matrices of a subgroup along rows and along tokens
//   CM, CN, CK   shape of the matrices, from the device's list: CM rows, CN tokens, CK columns
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
  X(16, uint, CK, 16u)

#ifdef __cplusplus
namespace nib {
using MatmulHalfPush = ProductPush;
}  // namespace nib
#endif
#endif
