// Sums of pairs (numerics/pairs.glsl) over a workgroup, in one fixed order. Call in uniform control flow.
#ifndef NIB_WORKGROUP_PAIR_SUM_GLSL
#define NIB_WORKGROUP_PAIR_SUM_GLSL

#include "numerics/pairs.glsl"

shared vec2 nib_lane_pair[WG];

// Returns the sum in every invocation.
vec2 nibWorkgroupPairSum(vec2 x) {
  uint lane = gl_LocalInvocationIndex;
  barrier();  // readers of an earlier call are done
  nib_lane_pair[lane] = x;
  for (uint width = WG / 2u; width > 0u; width /= 2u) {
    barrier();
    if (lane < width) nib_lane_pair[lane] = nibPairAdd(nib_lane_pair[lane], nib_lane_pair[lane + width]);
  }
  barrier();
  return nib_lane_pair[0];
}

NibPair4 nibPairAdd(NibPair4 sum, vec4 x) {
  return nibPairAdd(sum, NibPair4(x, vec4(0.0)));
}

#endif
