#version 450
// Memory ceiling: copies 16 bytes per load and store. A workgroup copies WG * STEPS vectors of 16 bytes, an invocation
// every WG-th of them, so neighbouring invocations have neighbouring memory. Reads and writes every byte once.
#extension GL_GOOGLE_include_directive : require
#include "ops/peak_copy.h"
PEAK_COPY_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { PeakCopyPush push; };
layout(set = 0, binding = 1, std430) readonly buffer Source { uvec4 source[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result { uvec4 result[]; };

// Deltas count words modulo 2^32; a quarter of one needs its sign.
void main() {
  uint first = (push.head.tile_first + gl_WorkGroupID.x) * WG * STEPS + gl_LocalInvocationIndex;
  for (uint s = 0u; s < STEPS; ++s) {
    uint i = first + s * WG;
    if (i < push.count) result[i + uint(int(push.head.delta2) >> 2)] = source[i + uint(int(push.head.delta1) >> 2)];
  }
}
