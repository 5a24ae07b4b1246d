// Integer sums of up to 2^55 over teams of a workgroup, with subgroups (variant SUBGROUP) or without; both give the
// same bits. Call in uniform control flow.
#ifndef NIB_WORKGROUP_SUM_GLSL
#define NIB_WORKGROUP_SUM_GLSL

#include "numerics/mean.glsl"

// Limbs of 16, 16 and up to 23 bits: a workgroup's sum of each fits a word.
shared uvec3 nib_limbs[WG];

#if defined(SUBGROUP) && !defined(NIB_SUBGROUP_EMULATE)

uvec3 nibWorkgroupLimbs(uvec3 x) {
  x = subgroupAdd(x);
  if (gl_NumSubgroups > 1u) {
    barrier();  // readers of an earlier call are done
    if (subgroupElect()) nib_limbs[gl_SubgroupID] = x;
    barrier();
    for (uint i = 0u; i < gl_NumSubgroups; ++i) x = i == 0u ? nib_limbs[0] : x + nib_limbs[i];
  }
  return x;
}

#else

uvec3 nibWorkgroupLimbs(uvec3 x) {
  uint lane = gl_LocalInvocationIndex;
  barrier();
  nib_limbs[lane] = x;
  for (uint width = WG / 2u; width > 0u; width /= 2u) {
    barrier();
    if (lane < width) nib_limbs[lane] += nib_limbs[lane + width];
  }
  barrier();
  return nib_limbs[0];
}

#endif

// The sum of 64-bit values (see numerics/mean.glsl) over teams of `lanes` neighbouring invocations, as nibTeamReduce
// has them.
uvec2 nibTeamSum(uvec2 wide, uint team, uint lanes) {
  uvec3 limbs = uvec3(wide.x & 0xffffu, wide.x >> 16, wide.y);
  if (lanes == WG) {
    limbs = nibWorkgroupLimbs(limbs);
  } else {
    barrier();  // readers of an earlier call are done
    nib_limbs[gl_LocalInvocationIndex] = limbs;
    barrier();
    uint from = min(team * lanes, WG - lanes);
    limbs = uvec3(0u);
    for (uint i = 0u; i < lanes; ++i) limbs += nib_limbs[from + i];
  }
  return nibWideAdd(uvec2(limbs.x, limbs.z), limbs.y, 16u);
}

#endif
