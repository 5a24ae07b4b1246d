#version 450
// Integer ceiling: packed 4x8 dot products in registers, 8 independent chains per invocation, all of them used.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_spirv_intrinsics : require
#include "ops/peak_dot4.h"
PEAK_DOT4_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { PeakDot4Push push; };
layout(set = 0, binding = 2, std430) writeonly buffer Result { uint result[]; };
#include "common/dot4.glsl"

void main() {
  uint id = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  int x = int(push.seed + id);
  int a = x, b = x + 1, c = x + 2, d = x + 3, e = x + 4, f = x + 5, g = x + 6, h = x + 7;
  for (uint i = 0u; i < push.steps; ++i) {
    a += nibDot4(a, x);
    b += nibDot4(b, x);
    c += nibDot4(c, x);
    d += nibDot4(d, x);
    e += nibDot4(e, x);
    f += nibDot4(f, x);
    g += nibDot4(g, x);
    h += nibDot4(h, x);
    a += nibDot4(a, x);
    b += nibDot4(b, x);
    c += nibDot4(c, x);
    d += nibDot4(d, x);
    e += nibDot4(e, x);
    f += nibDot4(f, x);
    g += nibDot4(g, x);
    h += nibDot4(h, x);
  }
  result[id + push.head.delta2] = uint(a ^ b ^ c ^ d ^ e ^ f ^ g ^ h);
}
