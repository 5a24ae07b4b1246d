#version 450
// Partial sums to means, which take the place of the extents' absmax, where scales are found. Rows mode: a workgroup adds
// the partials of one row, or of the tensor; SOLO: an invocation those of one row. Columns mode: an invocation adds those
// of one column. Reads 8 bytes per partial.
#extension GL_GOOGLE_include_directive : require
#include "ops/mean.h"
MEAN_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MeanPush push; };

#include "workgroup/sum.glsl"
layout(set = 0, binding = 3, std430) buffer Extents { uint extents[]; };
layout(set = 0, binding = 3, std430) readonly buffer Partials { uvec4 partials[]; };

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

uvec2 addPartial(uvec2 sum, uint index) {
  uvec4 partial = partials[((push.partial_word + push.head.delta3) >> 2) + index];
  return nibWideAdd(uvec2(sum.x, sum.y + partial.y), partial.x, 0u);
}

void writeMean(uint index, uvec2 sum, uint count) {
  uint at = push.extent_word + 4u * index + 2u + push.head.delta3;
  extents[at] = nibMeanBits(sum, count, extents[at] >> 23) ^ kFault;
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uvec2 sum = uvec2(0u);
  if (COLUMNS) {
    uint col = tile * WG + gl_LocalInvocationIndex;
    if (col >= push.cols) return;
    uint blocks = (push.head.rows + push.chunk_elements - 1u) / push.chunk_elements;
    for (uint b = 0u; b < blocks; ++b) sum = addPartial(sum, b * push.cols + col);
    writeMean(col, sum, push.head.rows);
    return;
  }
  if (SOLO) {
    uint row = tile * WG + gl_LocalInvocationIndex;
    if (row >= push.head.rows) return;
    for (uint p = 0u; p < push.chunks; ++p) sum = addPartial(sum, row * push.chunks + p);
    writeMean(row, sum, push.cols);
    return;
  }
  uint count = FLATTEN ? (push.head.rows * push.cols + push.chunk_elements - 1u) / push.chunk_elements
                       : TENSOR ? push.head.rows * push.chunks : push.chunks;
  uint first = TENSOR ? 0u : tile * push.chunks;
  for (uint p = gl_LocalInvocationIndex; p < count; p += WG) sum = addPartial(sum, first + p);
  sum = nibTeamSum(sum, 0u, WG);
  if (gl_LocalInvocationIndex == 0u) writeMean(tile, sum, TENSOR ? push.head.rows * push.cols : push.cols);
}
