#version 450
// Merges partial extents of reduce.comp to NibExtents. Rows mode: a workgroup merges the partials of one row or of the
// tensor, an invocation every WG-th of them. SOLO: an invocation merges the partials of one row. Columns mode: an
// invocation merges the partials of one column. Reads 16 bytes per partial, writes 16 bytes per extent.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/combine.h"
COMBINE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NibPartialsPush push; };

#include "common/fault.glsl"
#include "numerics/exact.glsl"
#include "workgroup/reduce.glsl"
#include "workgroup/extent.glsl"
layout(set = 0, binding = 2, std430) writeonly buffer Extents { uint extents[]; };
layout(set = 0, binding = 3, std430) readonly buffer Partials { uvec4 partials[]; };

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

#define NIB_VALUE NibReduced
#define NIB_NOTHING nibEmptyExtent()
#define NIB_MERGE(value, index) nibMerge(value, readPartial(index))
#define NIB_EXCHANGE(value) nibWorkgroupReduce(value)
#define NIB_WRITE(index, value, count) writeExtent(index, value)
#include "workgroup/partials.glsl"
