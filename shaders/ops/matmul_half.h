// Interface of matmul_half.comp: weights times many fp16 activations on the matrix units, y = x W'.
//   WG           invocations of a workgroup: SG * SGM * SGN
//   SG           invocations of a subgroup
//   SGM, SGN     subgroups of a workgroup along rows and along tokens
//   FM, FN       matrices of a subgroup along rows and along tokens
//   CM, CN, CK   their shape, from the device's list
//   RESULT_TYPE  NibType of the result
//   SCALE_TYPE   NibType of the scales, or 4: bytes of double quantization; of dense weights, that of the weights
//   FLAGS        NibWeights flags
//   FULL         every run is whole, and so is every row of codes
//   COLUMN       scales of single columns
//   BIAS, RESIDUAL, ACTIVATION   what follows the sums
#ifndef NIB_OPS_MATMUL_HALF_H
#define NIB_OPS_MATMUL_HALF_H

#include "common/interface.h"
#include "common/product_push.h"

#define MATMUL_HALF_SPEC(X) \
  X(0, uint, WG, 128u) \
  X(1, uint, SG, 32u) \
  X(2, uint, SGM, 2u) \
  X(3, uint, SGN, 2u) \
  X(4, uint, FM, 2u) \
  X(5, uint, FN, 2u) \
  X(6, uint, CM, 16u) \
  X(7, uint, CN, 16u) \
  X(8, uint, CK, 16u) \
  X(9, uint, RESULT_TYPE, 0u) \
  X(10, uint, SCALE_TYPE, 0u) \
  X(11, uint, FLAGS, 0u) \
  X(12, nib_bool, FULL, false) \
  X(13, nib_bool, COLUMN, false) \
  X(14, nib_bool, BIAS, false) \
  X(15, nib_bool, RESIDUAL, false) \
  X(16, uint, ACTIVATION, 0u)

#ifdef __cplusplus
namespace nib {
using MatmulHalfPush = ProductPush;
}  // namespace nib
#endif
#endif
