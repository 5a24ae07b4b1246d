#version 450
// common/matmul_tiles.glsl in fp32.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/matmul.h"
MATMUL_SPEC(NIB_SPEC_CONSTANT)
#define NIB_TILE vec4
#include "common/matmul_tiles.glsl"
