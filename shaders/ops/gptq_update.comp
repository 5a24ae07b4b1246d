#version 450
// Updates the columns beyond a block for the block's errors: from every element it subtracts error times entry of U,
// in the order of the block's columns, each product and each difference rounded. A workgroup of 64
// invocations has a tile of 64 rows and 64 columns, an invocation 8 x 8 of them in registers; errors and rows of U go
// through shared memory, 16 columns of the block at a time. Reads and writes every element once (4 bytes); reads a row
// of errors per column of tiles and a row of U per row of tiles.
#extension GL_GOOGLE_include_directive : require
#include "ops/gptq_update.h"
GPTQ_UPDATE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GptqUpdatePush push; };

#include "common/fault.glsl"
#include "memory/factor.glsl"
layout(set = 0, binding = 2, std430) buffer Result1 { uint result1[]; };
layout(set = 0, binding = 2, std430) buffer Result4 { uvec4 result4[]; };
layout(set = 0, binding = 3, std430) readonly buffer Aux { uvec4 aux4[]; };

const uint kStep = 16u;   // columns of the block in shared memory
const uint kQuads = 16u;  // of a side of the tile
shared vec4 step_errors[kStep * kQuads];
shared vec4 step_factor[kStep * kQuads];

vec4 loadQuad(uint row, uint col) {
  uint at = row * push.cols + push.result_word + push.head.delta2;
  if (VEC) return uintBitsToFloat(result4[(at + min(col, push.cols - 4u)) >> 2]);
  uvec4 i = at + min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  return uintBitsToFloat(uvec4(result1[i.x], result1[i.y], result1[i.z], result1[i.w]));
}

void storeQuad(uint row, uint col, vec4 x) {
  uvec4 bits = floatBitsToUint(x);
  bits.x ^= kFault;
  if (row >= push.rows || col >= push.cols) return;
  uint at = row * push.cols + col + push.result_word + push.head.delta2;
  if (VEC) {
    result4[at >> 2] = bits;
    return;
  }
  result1[at] = bits.x;
  if (col + 1u < push.cols) result1[at + 1u] = bits.y;
  if (col + 2u < push.cols) result1[at + 2u] = bits.z;
  if (col + 3u < push.cols) result1[at + 3u] = bits.w;
}

#define NIB_EACH_ROW(X) \
  X(0u, e0.x) X(1u, e0.y) X(2u, e0.z) X(3u, e0.w) X(4u, e1.x) X(5u, e1.y) X(6u, e1.z) X(7u, e1.w)

void main() {
  uint block = push.head.first_row;
  if (!nibHoldsBlock(block)) return;
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint row_tile = tile / push.tiles_per_row;
  uint first_col = block + push.block + (tile - row_tile * push.tiles_per_row) * 64u;
  if (first_col >= push.cols) return;
  uint lane = gl_LocalInvocationIndex;
  uint first_row = row_tile * 64u;
  uint lane_row = lane / 8u, lane_col = lane % 8u;
  uint row = first_row + lane_row * 8u;
  // Columns col..col+3 and col+32..col+35.
  uint col = first_col + lane_col * 4u;
  vec4 a[8], b[8];
#define NIB_LOAD(i, e)                                             \
  a[i] = loadQuad(min(row + i, push.rows - 1u), col);              \
  b[i] = loadQuad(min(row + i, push.rows - 1u), col + 32u);
  NIB_EACH_ROW(NIB_LOAD)

  uint count = push.head.rows;
  for (uint from = 0u; from < count; from += kStep) {
    barrier();  // the step before is done
    for (uint i = 0u; i < 4u; ++i) {
      uint quad = lane % kQuads, k = lane / kQuads + i * 4u;
      bool live = from + k < count;
      uint p = min(from + k, count - 1u);
      // Rows of errors are whole quads, whose last elements may belong to no row of the matrix.
      uint error_row = min(first_row + quad * 4u, push.errors_stride - 4u);
      uvec4 errors = aux4[(push.errors_word + p * push.errors_stride + error_row + push.head.delta3) >> 2];
      step_errors[k * kQuads + quad] = uintBitsToFloat(live ? errors : uvec4(0u));
      step_factor[k * kQuads + quad] = nibFactorQuad(block + p, first_col + quad * 4u);
    }
    barrier();
    for (uint k = 0u; k < kStep; ++k) {
      vec4 e0 = step_errors[k * kQuads + lane_row * 2u], e1 = step_errors[k * kQuads + lane_row * 2u + 1u];
      vec4 u0 = step_factor[k * kQuads + lane_col], u1 = step_factor[k * kQuads + lane_col + 8u];
#define NIB_UPDATE(i, e)                        \
  {                                             \
    precise vec4 product_a = e * u0;            \
    precise vec4 product_b = e * u1;            \
    precise vec4 rest_a = a[i] - product_a;     \
    precise vec4 rest_b = b[i] - product_b;     \
    a[i] = rest_a;                              \
    b[i] = rest_b;                              \
  }
      NIB_EACH_ROW(NIB_UPDATE)
    }
  }
#define NIB_STORE(i, e)                   \
  storeQuad(row + i, col, a[i]);          \
  storeQuad(row + i, col + 32u, b[i]);
  NIB_EACH_ROW(NIB_STORE)
}
