#version 450
// products/peak_coopmat.glsl, of halves with fp32 sums: small whole numbers, so that every sum is exact.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#include "ops/peak_coopmat_half.h"
#define NIB_ELEMENT float16_t
#define NIB_SUM float
#define NIB_BITS 4u
#include "products/peak_coopmat.glsl"
