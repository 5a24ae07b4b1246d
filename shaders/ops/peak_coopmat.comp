#version 450
// Matrix ceiling: cooperative-matrix multiply-adds in registers, with 32-bit sums of int8 or, with HALF, fp32 sums of
// fp16. A workgroup is one subgroup with 4 independent accumulators, all of which are stored. Elements are integers of
// NIB_BITS bits, so sums of fp16 are exact too. Writes 16 * M * N bytes per workgroup.
//
// Neither operand may be constant and no product may repeat: a compiler that knows the content of a matrix (software
// drivers do) would multiply once and add the rest. So there are 4 x 4 different products per step, of matrices whose
// elements differ, and every step adds each to another accumulator.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#ifdef HALF
#define NIB_ELEMENT float16_t
#define NIB_SUM float
#define NIB_BITS 4u
#else
#define NIB_ELEMENT int8_t
#define NIB_SUM int
#define NIB_BITS 8u
#endif
#include "ops/peak_coopmat.h"
PEAK_COOPMAT_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { PeakCoopmatPush push; };
layout(set = 0, binding = 2, std430) buffer Result { NIB_SUM result[]; };

shared NIB_ELEMENT left[4 * M * K];
shared NIB_ELEMENT right[4 * K * N];

#define LEFT coopmat<NIB_ELEMENT, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define RIGHT coopmat<NIB_ELEMENT, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define SUM coopmat<NIB_SUM, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  for (uint i = gl_LocalInvocationIndex; i < 4u * M * K; i += WG) {
    left[i] = NIB_ELEMENT(peakCoopmatElement(i, push.seed, NIB_BITS));
  }
  for (uint i = gl_LocalInvocationIndex; i < 4u * K * N; i += WG) {
    right[i] = NIB_ELEMENT(peakCoopmatElement(i, push.seed + 1u + (tile & 7u), NIB_BITS));
  }
  barrier();
  LEFT a0, a1, a2, a3;
  RIGHT b0, b1, b2, b3;
  coopMatLoad(a0, left, 0u, K, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(a1, left, M * K, K, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(a2, left, 2u * M * K, K, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(a3, left, 3u * M * K, K, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(b0, right, 0u, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(b1, right, K * N, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(b2, right, 2u * K * N, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatLoad(b3, right, 3u * K * N, N, gl_CooperativeMatrixLayoutRowMajor);
  SUM c0 = SUM(0), c1 = SUM(0), c2 = SUM(0), c3 = SUM(0);
  for (uint i = 0u; i < push.steps; ++i) {
    c0 = coopMatMulAdd(a0, b0, c0);
    c1 = coopMatMulAdd(a0, b1, c1);
    c2 = coopMatMulAdd(a0, b2, c2);
    c3 = coopMatMulAdd(a0, b3, c3);
    c0 = coopMatMulAdd(a1, b1, c0);
    c1 = coopMatMulAdd(a1, b2, c1);
    c2 = coopMatMulAdd(a1, b3, c2);
    c3 = coopMatMulAdd(a1, b0, c3);
    c0 = coopMatMulAdd(a2, b2, c0);
    c1 = coopMatMulAdd(a2, b3, c1);
    c2 = coopMatMulAdd(a2, b0, c2);
    c3 = coopMatMulAdd(a2, b1, c3);
    c0 = coopMatMulAdd(a3, b3, c0);
    c1 = coopMatMulAdd(a3, b0, c1);
    c2 = coopMatMulAdd(a3, b1, c2);
    c3 = coopMatMulAdd(a3, b2, c3);
    LEFT first = a0;
    a0 = a1;
    a1 = a2;
    a2 = a3;
    a3 = first;
  }
  uint at = tile * 4u * M * N + push.head.delta2;
  coopMatStore(c0, result, at, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatStore(c1, result, at + M * N, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatStore(c2, result, at + 2u * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatStore(c3, result, at + 3u * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
}
