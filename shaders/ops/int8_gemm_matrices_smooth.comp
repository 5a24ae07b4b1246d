#version 450
// products/int8_matrices.glsl with GELU or SiLU of floats, which are bounded.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_control_flow_attributes : require
#define NIB_SMOOTH
#include "ops/int8_gemm_matrices_smooth.h"
INT8_GEMM_MATRICES_SMOOTH_SPEC(NIB_SPEC_CONSTANT)
#include "products/int8_matrices.glsl"
