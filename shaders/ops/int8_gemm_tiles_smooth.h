// Interface of int8_gemm_tiles_smooth.comp: that of int8_gemm_tiles.comp.
#ifndef NIB_OPS_INT8_GEMM_TILES_SMOOTH_H
#define NIB_OPS_INT8_GEMM_TILES_SMOOTH_H

#include "ops/int8_gemm_tiles.h"

#define INT8_GEMM_TILES_SMOOTH_SPEC(X) INT8_GEMM_TILES_SPEC(X)

#ifdef __cplusplus
namespace nib {
using Int8GemmTilesSmoothPush = NibInt8Push;
}  // namespace nib
#endif
#endif
