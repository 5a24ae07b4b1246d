#version 450
// Partial statistics to extents. Rows mode: a workgroup merges the partials of one row, or of the tensor, into one
// NibExtent; SOLO: an invocation those of one row. Columns mode: an invocation merges the partials of one column. Reads
// 12 bytes per partial.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/combine.h"
COMBINE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { CombinePush push; };

#include "numerics/exact.glsl"
#include "workgroup/reduce.glsl"
#include "workgroup/extent.glsl"
layout(set = 0, binding = 2, std430) writeonly buffer Extents { uint extents[]; };
layout(set = 0, binding = 3, std430) readonly buffer Partials { uvec4 partials[]; };

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

NibReduced readPartial(uint index) {
  uvec4 partial = partials[((push.partial_word + push.head.delta3) >> 2) + index];
  return NibReduced(partial.x, partial.y, partial.z);
}

void writeExtent(uint index, NibReduced extent) {
  uvec3 bits = nibExtentBits(extent);
  uint at = push.result_word + 4u * index + push.head.delta2;
  extents[at] = bits.x;
  extents[at + 1u] = bits.y ^ kFault;
  extents[at + 2u] = bits.z;
  extents[at + 3u] = extent.count;
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  NibReduced extent = nibEmptyExtent();
  if (COLUMNS) {
    uint col = tile * WG + gl_LocalInvocationIndex;
    if (col >= push.cols) return;
    uint blocks = (push.head.rows + push.chunk_elements - 1u) / push.chunk_elements;
    for (uint b = 0u; b < blocks; ++b) extent = nibMerge(extent, readPartial(b * push.cols + col));
    writeExtent(col, extent);
    return;
  }
  if (SOLO) {
    uint row = tile * WG + gl_LocalInvocationIndex;
    if (row >= push.head.rows) return;
    for (uint p = 0u; p < push.chunks; ++p) extent = nibMerge(extent, readPartial(row * push.chunks + p));
    writeExtent(row, extent);
    return;
  }
  uint count = FLATTEN ? (push.head.rows * push.cols + push.chunk_elements - 1u) / push.chunk_elements
                       : TENSOR ? push.head.rows * push.chunks : push.chunks;
  uint first = TENSOR ? 0u : tile * push.chunks;
  for (uint p = gl_LocalInvocationIndex; p < count; p += WG) extent = nibMerge(extent, readPartial(first + p));
  extent = nibWorkgroupReduce(extent);
  if (gl_LocalInvocationIndex == 0u) writeExtent(tile, extent);
}
