#version 450
// products/matmul_tiles.glsl for fp16 activations, which lie in shared memory as they are, with weights rounded to halves
// beside them: half the shared memory and half its traffic. Sums are fp32.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "ops/matmul_f16.h"
MATMUL_F16_SPEC(NIB_SPEC_CONSTANT)
#define NIB_TILE f16vec4
#include "products/matmul_tiles.glsl"
