#version 450
// products/int8_registers.glsl with GELU or SiLU of floats, which are bounded.
#extension GL_GOOGLE_include_directive : require
#ifdef DOT4
#define NIB_DOT4
#extension GL_EXT_spirv_intrinsics : require
#endif
#define NIB_SMOOTH
#include "ops/int8_gemm_smooth.h"
INT8_GEMM_SMOOTH_SPEC(NIB_SPEC_CONSTANT)
#include "products/int8_registers.glsl"
