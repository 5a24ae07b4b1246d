#version 450
// Symmetric rank-k update C += X^T X of one triangle (SYRK of BLAS). A workgroup makes a tile of BM rows and 64
// columns: every step copies the tile's rows and columns of 16 source rows to shared memory, and each invocation adds
// products of eight rows and four columns in registers. Reads an element of the source (2 or 4 bytes) once per tile
// that has its column, reads and writes every result (4 bytes) once. Tiles outside the triangle end at once.
// Hessian: X are activations; the product is added to C's lower triangle, and the diagonal is copied. If the source has
// several windows, the dispatch of each window adds its rows. UPPER: C -= X^T X above and on the diagonal, for the
// columns before the run's last block; row k of X is column k of that block.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/syrk.h"
SYRK_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { SyrkPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "common/fault.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Diagonal { float diagonal[]; };
layout(set = 0, binding = 2, std430) buffer Result1 { float result1[]; };
layout(set = 0, binding = 2, std430) buffer Result4 { vec4 result4[]; };
layout(set = 0, binding = 3, std430) readonly buffer Mask { uint mask[]; };

const uint ROW_QUADS = BM / 4u;
const uint COL_QUADS = NIB_SYRK_COLS / 4u;
const uint QUADS_OF_STEP = ROW_QUADS + COL_QUADS;
// Source row by source row: the tile's rows, then its columns.
shared vec4 staged[NIB_SYRK_STEP * QUADS_OF_STEP];

bool counts(uint row) {
  return !MASKED || (mask[push.mask_word + (row >> 5) + push.head.delta3] >> (row & 31u) & 1u) != 0u;
}

// Copies source rows first..first+15, zeros from `end` on. `size`: the columns that count.
void stage(uint first, uint end, uint row0, uint col0, uint size) {
  const uint octets = QUADS_OF_STEP / 2u;
  uint delta = push.source_word + push.head.delta1;
  for (uint i = gl_LocalInvocationIndex; i < NIB_SYRK_STEP * octets; i += WG) {
    uint row = i / octets;
    uint octet = i - row * octets;
    uint col = octet < ROW_QUADS / 2u ? row0 + octet * 8u : col0 + (octet - ROW_QUADS / 2u) * 8u;
    uvec4 x0 = uvec4(0u), x1 = uvec4(0u);
    if (first + row < end && counts(first + row)) {
      nibLoadPair((first + row) * push.source_stride, col, size, delta, x0, x1);
      x0 &= nibInside(col, size);
      x1 &= nibInside(col + 4u, size);
    }
    staged[2u * i] = uintBitsToFloat(x0);
    staged[2u * i + 1u] = uintBitsToFloat(x1);
  }
}

void store(uint row, uint col, uint size, vec4 sum) {
  if (row >= size) return;
  if (UPPER) sum = -sum;
  uint at = push.result_word + row * push.cols + col + push.head.delta2;
  if (QUADS && col + 4u <= size && (UPPER ? col >= row : col + 3u < row)) {
    result4[at >> 2] += sum;
    return;
  }
  [[unroll]] for (uint c = 0u; c < 4u; ++c) {
    if (col + c >= size || (UPPER ? col + c < row : col + c > row)) continue;
    float value = result1[at + c] + sum[c];
    result1[at + c] = value;
    if (!UPPER && col + c == row) diagonal[push.diagonal_word + row + push.head.delta0] = value;
  }
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint col_tiles = (push.cols + NIB_SYRK_COLS - 1u) / NIB_SYRK_COLS;
  uint row_tile = tile / col_tiles;
  uint row0 = row_tile * BM;
  uint col0 = (tile - row_tile * col_tiles) * NIB_SYRK_COLS;
  uint size = push.cols;
  uint first = push.window_row;
  uint end = min(push.head.rows, push.window_row + push.window_rows);
  if (UPPER) {
    size = (push.head.rows - 1u) / push.block * push.block;
    first = 0u;
    end = push.head.rows - size;
  }
  if (first >= end || row0 >= size || col0 >= size) return;
  if (UPPER ? col0 + NIB_SYRK_COLS <= row0 : row0 + BM <= col0) return;

  uint my_cols = gl_LocalInvocationIndex % COL_QUADS;
  uint my_rows = WG == COL_QUADS ? 0u : gl_LocalInvocationIndex / COL_QUADS;
  vec4 sum[8];
  [[unroll]] for (uint r = 0u; r < 8u; ++r) sum[r] = vec4(0.0);
  for (uint t = first; t < end; t += NIB_SYRK_STEP) {
    barrier();  // readers of the step before are done
    stage(t, end, row0, col0, size);
    barrier();
    for (uint k = 0u; k < NIB_SYRK_STEP; ++k) {
      vec4 a = staged[k * QUADS_OF_STEP + 2u * my_rows];
      vec4 b = staged[k * QUADS_OF_STEP + 2u * my_rows + 1u];
      vec4 x = staged[k * QUADS_OF_STEP + ROW_QUADS + my_cols];
      [[unroll]] for (uint r = 0u; r < 4u; ++r) {
        sum[r] += a[r] * x;
        sum[4u + r] += b[r] * x;
      }
    }
  }
  if (kFault != 0u) sum[0].x = -sum[0].x - 1.0;
  [[unroll]] for (uint r = 0u; r < 8u; ++r) store(row0 + 8u * my_rows + r, col0 + 4u * my_cols, size, sum[r]);
}
