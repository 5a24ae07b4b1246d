#version 450
// products/matmul_tiles.glsl in fp32.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/matmul.h"
MATMUL_SPEC(NIB_SPEC_CONSTANT)
#define NIB_TILE vec4
#include "products/matmul_tiles.glsl"
