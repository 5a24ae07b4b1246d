#version 450
// Matrix ceiling: int8 cooperative-matrix multiply-adds in registers, 4 independent accumulators per subgroup, all of
// them stored. One subgroup per workgroup.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#include "ops/peak_coopmat.h"
PEAK_COOPMAT_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { PeakCoopmatPush push; };
layout(set = 0, binding = 2, std430) buffer Result { int result[]; };

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  coopmat<int8_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA> a =
      coopmat<int8_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>(int8_t(push.seed));
  coopmat<int8_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB> b =
      coopmat<int8_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>(int8_t(push.seed + tile));
  coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> c0 =
      coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>(0);
  coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator> c1 = c0, c2 = c0, c3 = c0;
  for (uint i = 0u; i < push.steps; ++i) {
    c0 = coopMatMulAdd(a, b, c0);
    c1 = coopMatMulAdd(a, b, c1);
    c2 = coopMatMulAdd(a, b, c2);
    c3 = coopMatMulAdd(a, b, c3);
  }
  uint at = tile * 4u * M * N + push.head.delta2;
  coopMatStore(c0, result, at, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatStore(c1, result, at + M * N, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatStore(c2, result, at + 2u * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
  coopMatStore(c3, result, at + 3u * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
}
