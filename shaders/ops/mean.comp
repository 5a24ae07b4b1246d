#version 450
// Merges partial sums of sum.comp to means, which replace the absmax of the extents. Rows mode: a workgroup adds the
// partials of one row or of the tensor, an invocation every WG-th of them. SOLO: an invocation adds the partials of one
// row. Columns mode: an invocation adds the partials of one column. Reads 16 bytes per partial and 4 bytes per mean,
// writes 4 bytes per mean.
#extension GL_GOOGLE_include_directive : require
#include "ops/mean.h"
MEAN_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NibPartialsPush push; };

#include "common/fault.glsl"
#include "workgroup/sum.glsl"
layout(set = 0, binding = 3, std430) buffer Extents { uint extents[]; };
layout(set = 0, binding = 3, std430) readonly buffer Partials { uvec4 partials[]; };

uvec2 addPartial(uvec2 sum, uint index) {
  uvec4 partial = partials[((push.partial_word + push.head.delta3) >> 2) + index];
  return nibWideAdd(uvec2(sum.x, sum.y + partial.y), partial.x, 0u);
}

void writeMean(uint index, uvec2 sum, uint count) {
  uint at = push.result_word + 4u * index + 2u + push.head.delta3;
  extents[at] = nibMeanBits(sum, count, extents[at] >> 23) ^ kFault;
}

#define NIB_VALUE uvec2
#define NIB_NOTHING uvec2(0u)
#define NIB_MERGE(value, index) addPartial(value, index)
#define NIB_EXCHANGE(value) nibTeamSum(value, 0u, WG)
#define NIB_WRITE(index, value, count) writeMean(index, value, count)
#include "workgroup/partials.glsl"
