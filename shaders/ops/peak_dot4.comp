#version 450
// Integer ceiling: packed 4x8 dot products in registers, 16 independent sums per invocation, all of them used. Four words
// meet four others, as in a product of matrices: where a word has to be taken apart, that serves four dot products. From
// turn to turn they are the sums of another token, so that nothing can be worked out before the loop.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_spirv_intrinsics : require
#include "ops/peak_dot4.h"
PEAK_DOT4_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { PeakDot4Push push; };
layout(set = 0, binding = 2, std430) writeonly buffer Result { uint result[]; };
#include "numerics/dot4.glsl"

#define NIB_DOTS(word) ivec4(nibDot4(w.x, word), nibDot4(w.y, word), nibDot4(w.z, word), nibDot4(w.w, word))
#define NIB_TURN(of)   \
  w = of;              \
  a += NIB_DOTS(x.x);  \
  b += NIB_DOTS(x.y);  \
  c += NIB_DOTS(x.z);  \
  d += NIB_DOTS(x.w);

void main() {
  uint id = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  ivec4 x = int(push.seed) + ivec4(0, 1, 2, 3);
  ivec4 a = x + int(id), b = a + 4, c = a + 8, d = a + 12, w;
  for (uint i = 0u; i < push.steps; ++i) {
    NIB_TURN(a)
    NIB_TURN(b)
    NIB_TURN(c)
    NIB_TURN(d)
  }
  ivec4 all = a ^ b ^ c ^ d;
  result[id + push.head.delta2] = uint(all.x ^ all.y ^ all.z ^ all.w);
}
