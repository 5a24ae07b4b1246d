// Sums of floats over teams of LANES neighbouring invocations of a workgroup or over subgroups, in one fixed order for
// a device. Call in uniform control flow.
#ifndef NIB_WORKGROUP_TEAM_SUM_GLSL
#define NIB_WORKGROUP_TEAM_SUM_GLSL

// One value of an invocation at a time: 16 would take more than the guaranteed shared memory from 256 invocations on.
shared float nib_lane_sum[WG];

#if defined(SUBGROUP) && !defined(NIB_SUBGROUP_EMULATE)
// Over full subgroups by exchanges at doubling distances: some drivers make loops over all lanes of subgroupAdd.
float nibSubgroupSum(float x) {
  if (gl_NumSubgroups * gl_SubgroupSize != WG) return subgroupAdd(x);
#define NIB_EXCHANGE(distance) \
  if (gl_SubgroupSize > distance) x += subgroupShuffleXor(x, distance);
  NIB_EXCHANGE(1u) NIB_EXCHANGE(2u) NIB_EXCHANGE(4u) NIB_EXCHANGE(8u)
  NIB_EXCHANGE(16u) NIB_EXCHANGE(32u) NIB_EXCHANGE(64u)
  return x;
}
#endif

// The sum, in every lane of the team.
float nibTeamSum(float x) {
  if (LANES == 1u) return x;
#if defined(SUBGROUP) && !defined(NIB_SUBGROUP_EMULATE)
  x = nibSubgroupSum(x);
  if (LANES < WG) return x;
  barrier();  // readers of an earlier call are done
  if (subgroupElect()) nib_lane_sum[gl_SubgroupID] = x;
  barrier();
  x = 0.0;
  for (uint i = 0u; i < gl_NumSubgroups; ++i) x += nib_lane_sum[i];
  return x;
#else
  uint lane = gl_LocalInvocationIndex % LANES;
  barrier();
  nib_lane_sum[gl_LocalInvocationIndex] = x;
  for (uint width = LANES / 2u; width > 0u; width /= 2u) {
    barrier();
    if (lane < width) nib_lane_sum[gl_LocalInvocationIndex] += nib_lane_sum[gl_LocalInvocationIndex + width];
  }
  barrier();
  return nib_lane_sum[gl_LocalInvocationIndex - lane];
#endif
}

#endif
