#version 450
// Products of the rows above a block. A workgroup makes BM rows of the block's columns: every step copies 32 columns of
// these rows, and 32 rows of the other factor, to shared memory, and each invocation adds products of TM rows and four
// columns in registers.
//   PANEL          rows of M = rows of A times the transposed inverse of the block; also to scratch, transposed
//   INVERSE_PANEL  rows of M times the block's inverse, to scratch
//   INVERSE        - (inverse of the triangle before the block) times that panel
// The first two read BLOCK elements (4 bytes) of a row, the third those from the tile's first row on; each writes the
// BLOCK columns (4 bytes an element) once. Tiles that are not above the block end at once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/factor_product.h"
FACTOR_PRODUCT_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { FactorProductPush push; };

#include "common/fault.glsl"
layout(set = 0, binding = 2, std430) buffer Result1 { float result1[]; };
layout(set = 0, binding = 2, std430) readonly buffer Result4 { vec4 result4[]; };
layout(set = 0, binding = 3, std430) buffer Scratch4 { vec4 scratch4[]; };

// Column by column of the tile's rows: a vector has four rows. The extra vector makes columns begin in different banks.
const uint ROW_QUADS = BM / 4u + 1u;
const uint COL_QUADS = BLOCK / 4u;
shared vec4 rows[NIB_FACTOR_STEP * ROW_QUADS];
shared vec4 columns[NIB_FACTOR_STEP * COL_QUADS];

// Four elements of a row; zeros from column `limit` on, and below the diagonal.
vec4 rowQuad(uint row, uint col, uint limit) {
  uint start = push.result_word + row * push.cols + push.head.delta2;
  uvec4 at = col + uvec4(0u, 1u, 2u, 3u);
  vec4 x;
  if (VEC) {
    x = result4[(start + min(col, push.cols - 4u)) >> 2];
  } else {
    uvec4 inside = start + min(at, uvec4(push.cols - 1u));
    x = vec4(result1[inside.x], result1[inside.y], result1[inside.z], result1[inside.w]);
  }
  bvec4 has = lessThan(at, uvec4(limit));
  if (KIND == NIB_FACTOR_INVERSE) has = greaterThanEqual(at, uvec4(row));
  return mix(vec4(0.0), x, has);
}

void main() {
  uint first = (push.head.rows - 1u) / BLOCK * BLOCK;
  uint row0 = (push.head.tile_first + gl_WorkGroupID.x) * BM;
  if (row0 >= first) return;
  uint lane = gl_LocalInvocationIndex;
  uint my_cols = lane % COL_QUADS;
  uint my_rows = WG == COL_QUADS ? 0u : lane / COL_QUADS;
  uint inverse = (push.inverse_word + push.head.delta3) >> 2;
  uint panel = (push.panel_word + push.head.delta3) >> 2;

  vec4 sum[TM];
  [[unroll]] for (uint r = 0u; r < TM; ++r) sum[r] = vec4(0.0);
  // The last of INVERSE is the column before the block.
  uint from = KIND == NIB_FACTOR_INVERSE ? row0 / NIB_FACTOR_STEP * NIB_FACTOR_STEP : first;
  uint end = KIND == NIB_FACTOR_INVERSE ? first : first + BLOCK;
  for (uint col = from; col < end; col += NIB_FACTOR_STEP) {
    barrier();  // readers of the step before are done
    for (uint i = lane; i < BM / 4u * (NIB_FACTOR_STEP / 4u); i += WG) {
      uint line = i / (NIB_FACTOR_STEP / 4u);
      uint q = i - line * (NIB_FACTOR_STEP / 4u);
      mat4 by_column;
      [[unroll]] for (uint r = 0u; r < 4u; ++r) {
        by_column[r] = rowQuad(row0 + 4u * line + r, col + 4u * q, push.head.rows);
      }
      by_column = transpose(by_column);
      [[unroll]] for (uint c = 0u; c < 4u; ++c) rows[(4u * q + c) * ROW_QUADS + line] = by_column[c];
    }
    uint other = KIND == NIB_FACTOR_INVERSE ? panel + col * COL_QUADS : inverse + (col - first) * COL_QUADS;
    for (uint i = lane; i < NIB_FACTOR_STEP * COL_QUADS; i += WG) columns[i] = scratch4[other + i];
    barrier();
    for (uint k = 0u; k < NIB_FACTOR_STEP; ++k) {
      vec4 x = columns[k * COL_QUADS + my_cols];
      [[unroll]] for (uint q = 0u; q < TM / 4u; ++q) {
        vec4 a = rows[k * ROW_QUADS + my_rows * (TM / 4u) + q];
        sum[4u * q] += a.x * x;
        sum[4u * q + 1u] += a.y * x;
        sum[4u * q + 2u] += a.z * x;
        sum[4u * q + 3u] += a.w * x;
      }
    }
  }
  if (kFault != 0u) sum[0].x = -sum[0].x - 1.0;

  uint row = row0 + TM * my_rows;
  if (KIND == NIB_FACTOR_PANEL) {
    [[unroll]] for (uint q = 0u; q < TM / 4u; ++q) {
      mat4 by_column = transpose(mat4(sum[4u * q], sum[4u * q + 1u], sum[4u * q + 2u], sum[4u * q + 3u]));
      [[unroll]] for (uint c = 0u; c < 4u; ++c) {
        scratch4[panel + (((4u * my_cols + c) * push.panel_stride + row + 4u * q) >> 2)] = by_column[c];
      }
    }
  }
  [[unroll]] for (uint r = 0u; r < TM; ++r) {
    if (KIND == NIB_FACTOR_INVERSE_PANEL) {
      scratch4[panel + (row + r) * COL_QUADS + my_cols] = sum[r];
      continue;
    }
    vec4 y = KIND == NIB_FACTOR_PANEL ? sum[r] : -sum[r];
    uint col = first + 4u * my_cols;
    uint at = push.result_word + (row + r) * push.cols + col + push.head.delta2;
    [[unroll]] for (uint c = 0u; c < 4u; ++c) {
      if (col + c < push.head.rows) result1[at + c] = y[c];
    }
  }
}
