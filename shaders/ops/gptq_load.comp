#version 450
// Copies rows of W to fp32 rows of RESULT, in the order of the columns. Elements that count as 0 become 0; so do those
// that count as non-finite, which are counted. A workgroup has 8 * WG positions of a row, an invocation every WG-th of
// them. Reads and writes every element once (2 or 4 bytes, 4 bytes).
#extension GL_GOOGLE_include_directive : require
#include "ops/gptq_load.h"
GPTQ_LOAD_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GptqLoadPush push; };

const bool FULL = false;
const bool VEC = false;
const bool WIDE = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "numerics/gptq.glsl"
#include "common/fault.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Columns { uint columns[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result { uint result[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint row = tile / push.tiles;
  uint first = (tile - row * push.tiles) * WG * 8u + gl_LocalInvocationIndex;
  uint bad = 0u, first_bad = 0xffffffffu;
  for (uint i = 0u; i < 8u; ++i) {
    uint p = first + i * WG;
    if (p >= push.cols) break;
    uint column = p;
    if (ORDER) column = columns[push.order_word + p + push.head.delta0];
    bool live = column < push.cols;
    column = min(column, push.cols - 1u);
    if (DEAD) live = live && (columns[push.diagonal_word + column + push.head.delta0] & 0x7f800000u) != 0u;
    uint bits = 0u;
    if (live) {
      bits = nibLoadOne(row * push.stride + column, push.source_word + push.head.delta1);
      if ((bits & 0x7fffffffu) >= kNibWeightEnd) {
        ++bad;
        first_bad = min(first_bad, row * push.cols + column);
        bits = 0u;
      }
    }
    if ((bits & 0x7fffffffu) < kNibLeastWeight) bits = 0u;
    result[row * push.cols + p + push.result_word + push.head.delta2] = bits ^ kFault;
  }
  if (bad != 0u) nibCountNonFinite(bad, first_bad);
}
