// Interface of matmul_f16.comp: that of matmul.comp.
#ifndef NIB_SHADERS_OPS_MATMUL_F16_H
#define NIB_SHADERS_OPS_MATMUL_F16_H

#include "ops/matmul.h"

#define MATMUL_F16_SPEC(X) MATMUL_SPEC(X)

#ifdef __cplusplus
namespace nib {
using MatmulF16Push = ProductPush;
}  // namespace nib
#endif
#endif
