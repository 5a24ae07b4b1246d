// Minimum, maximum and sum of integers over a workgroup of WG invocations, with subgroups (variant SUBGROUP) or
// without. The order does not matter, so both ways and every subgroup size give the same bits. Call in uniform control
// flow.
#ifndef NIB_WORKGROUP_REDUCE_GLSL
#define NIB_WORKGROUP_REDUCE_GLSL

struct NibReduced {
  uint low;    // minimum
  uint high;   // maximum
  uint count;  // sum
};

NibReduced nibMerge(NibReduced a, NibReduced b) {
  return NibReduced(min(a.low, b.low), max(a.high, b.high), a.count + b.count);
}

#if defined(SUBGROUP) && !defined(NIB_SUBGROUP_EMULATE)

shared NibReduced nib_partial[WG];  // one per subgroup; WG would be enough for subgroups of one

NibReduced nibWorkgroupReduce(NibReduced x) {
  x = NibReduced(subgroupMin(x.low), subgroupMax(x.high), subgroupAdd(x.count));
  if (gl_NumSubgroups > 1u) {
    barrier();  // readers of an earlier call are done
    if (subgroupElect()) nib_partial[gl_SubgroupID] = x;
    barrier();
    for (uint i = 0u; i < gl_NumSubgroups; ++i) x = i == 0u ? nib_partial[0] : nibMerge(x, nib_partial[i]);
  }
  return x;
}

#elif defined(SUBGROUP)

// For tests on drivers with narrow subgroups: subgroups of NIB_SUBGROUP_EMULATE invocations over shared memory.
shared NibReduced nib_lane[WG];
shared NibReduced nib_partial[WG];

NibReduced nibWorkgroupReduce(NibReduced x) {
  uint lane = gl_LocalInvocationIndex;
  uint size = min(uint(NIB_SUBGROUP_EMULATE), WG);
  barrier();
  nib_lane[lane] = x;
  barrier();
  if (lane % size == 0u) {
    for (uint i = 1u; i < size; ++i) x = nibMerge(x, nib_lane[lane + i]);
    nib_partial[lane / size] = x;
  }
  barrier();
  x = nib_partial[0];
  for (uint i = 1u; i < WG / size; ++i) x = nibMerge(x, nib_partial[i]);
  return x;
}

#else

shared NibReduced nib_lane[WG];

NibReduced nibWorkgroupReduce(NibReduced x) {
  uint lane = gl_LocalInvocationIndex;
  barrier();
  nib_lane[lane] = x;
  for (uint width = WG / 2u; width > 0u; width /= 2u) {
    barrier();
    if (lane < width) nib_lane[lane] = nibMerge(nib_lane[lane], nib_lane[lane + width]);
  }
  barrier();
  return nib_lane[0];
}

#endif

// Minimum and maximum over teams of `lanes` neighbouring invocations; invocations after the last whole team get an
// unused result. A team of the whole workgroup reduces as above, in a smaller one every invocation reads all of its
// team. Call in uniform control flow.
#ifdef NIB_TEAMS
shared uvec2 nib_team[WG];

NibReduced nibTeamReduce(NibReduced x, uint team, uint lanes) {
  if (lanes == WG) return nibWorkgroupReduce(x);
  barrier();  // readers of an earlier call are done
  nib_team[gl_LocalInvocationIndex] = uvec2(x.low, x.high);
  barrier();
  uint from = min(team * lanes, WG - lanes);
  for (uint i = 0u; i < lanes; ++i) {
    uvec2 other = nib_team[from + i];
    x.low = min(x.low, other.x);
    x.high = max(x.high, other.y);
  }
  return x;
}
#endif

#endif
