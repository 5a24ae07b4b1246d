#version 450
// products/int8_registers.glsl, bit-exact.
#extension GL_GOOGLE_include_directive : require
#ifdef DOT4
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "ops/int8_gemm.h"
INT8_GEMM_SPEC(NIB_SPEC_CONSTANT)
#include "products/int8_registers.glsl"
