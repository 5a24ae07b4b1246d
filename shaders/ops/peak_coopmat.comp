#version 450
// products/peak_coopmat.glsl, of int8 with 32-bit sums.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#include "ops/peak_coopmat.h"
#define NIB_ELEMENT int8_t
#define NIB_SUM int
#define NIB_BITS 8u
#include "products/peak_coopmat.glsl"
