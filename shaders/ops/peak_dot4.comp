#version 450
// Integer ceiling: packed 4x8 dot products in registers. An invocation has 16 independent sums, all of which are used.
// Every step multiplies four words by four others, as a product of matrices does, so that unpacking a word serves four
// dot products. The next step multiplies the sums themselves, so nothing can be computed before the loop. Writes 4
// bytes per invocation.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_spirv_intrinsics : require
#include "ops/peak_dot4.h"
PEAK_DOT4_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { PeakDot4Push push; };
layout(set = 0, binding = 2, std430) writeonly buffer Result { uint result[]; };
#include "numerics/dot4.glsl"

#define NIB_DOTS(word) ivec4(nibDot4(w.x, word), nibDot4(w.y, word), nibDot4(w.z, word), nibDot4(w.w, word))
#define NIB_ACCUMULATE(of) \
  w = of;                  \
  a += NIB_DOTS(x.x);      \
  b += NIB_DOTS(x.y);      \
  c += NIB_DOTS(x.z);      \
  d += NIB_DOTS(x.w);

void main() {
  uint id = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  ivec4 x = int(push.seed) + ivec4(0, 1, 2, 3);
  ivec4 a = x + int(id), b = a + 4, c = a + 8, d = a + 12, w;
  for (uint i = 0u; i < push.steps; ++i) {
    NIB_ACCUMULATE(a)
    NIB_ACCUMULATE(b)
    NIB_ACCUMULATE(c)
    NIB_ACCUMULATE(d)
  }
  ivec4 all = a ^ b ^ c ^ d;
  result[id + push.head.delta2] = uint(all.x ^ all.y ^ all.z ^ all.w);
}
