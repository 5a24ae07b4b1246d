#version 450
// Products of int8 codes with dense tokens in one dispatch: products/int8_registers.glsl, but that every workgroup makes the
// codes of its few tokens itself, in shared memory. The same bytes as quantize and int8_gemm one after the other; what it
// saves is a dispatch with its barrier, and what it costs are tokens that are read by every workgroup.
#extension GL_GOOGLE_include_directive : require
#ifdef DOT4
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "ops/dynamic_gemm.h"
DYNAMIC_GEMM_SPEC(NIB_SPEC_CONSTANT)
#define NIB_STAGED
#include "products/int8_registers.glsl"
