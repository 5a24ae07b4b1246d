#version 450
// Arithmetic ceiling: fp32 multiply-adds in registers. An invocation has 12 independent chains, as many as CPUs have
// vector registers for next to the operands. All chains reach the result, so none can be left out, and no value depends
// on memory. Writes 4 bytes per invocation.
#extension GL_GOOGLE_include_directive : require
#include "ops/peak_fma.h"
PEAK_FMA_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { PeakFmaPush push; };
layout(set = 0, binding = 2, std430) writeonly buffer Result { uint result[]; };

#define NIB_CHAINS a = fma(a, m, k); b = fma(b, m, k); c = fma(c, m, k);
#define NIB_STEP NIB_CHAINS NIB_CHAINS NIB_CHAINS NIB_CHAINS

void main() {
  uint id = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  vec4 m = vec4(uintBitsToFloat(push.seed));
  vec4 a = vec4(float(id & 255u)) * m, b = a + 1.0, c = a + 2.0;
  vec4 k = vec4(0.125);
  // Eight steps per iteration make the cost of the loop negligible.
  for (uint i = push.steps >> 3; i > 0u; --i) {
    NIB_STEP NIB_STEP NIB_STEP NIB_STEP NIB_STEP NIB_STEP NIB_STEP NIB_STEP
  }
  for (uint i = push.steps & 7u; i > 0u; --i) {
    NIB_STEP
  }
  vec4 sum = (a + b) + c;
  result[id + push.head.delta2] = floatBitsToUint((sum.x + sum.y) + (sum.z + sum.w));
}
