#version 450
// products/int8_rows.glsl, bit-exact.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "ops/int8_gemm_rows.h"
INT8_GEMM_ROWS_SPEC(NIB_SPEC_CONSTANT)
#include "products/int8_rows.glsl"
