#version 450
// Finds scales (and zero points) of the least squared error. A workgroup has one group of one row; an invocation tries
// every WG-th candidate on all elements of the group, so that the order of a sum does not depend on WG. Pieces of the
// group lie in shared memory, where all invocations read the same element at the same time. Reads every element once
// for the extent and once per WG candidates (2 or 4 bytes, all but the first time from the cache), writes a scale and
// if asymmetric a zero point per group.
#extension GL_GOOGLE_include_directive : require
#include "ops/search.h"
SEARCH_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { SearchPush push; };

#include "format.glsl"
// Elements are loaded one by one, because trying candidates costs far more than the loads.
const bool VEC = false;
const bool FULL = false;
const bool WIDE = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#define NIB_PARAMS_BINDING 0
#define NIB_PARAMS_ACCESS
#include "memory/params.glsl"
#include "memory/scale_entry.glsl"
#include "workgroup/reduce.glsl"
#include "workgroup/extent.glsl"
#include "common/fault.glsl"
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

#include "products/scale_trials.glsl"

shared vec4 piece[kSearchPiece / 4u];

// Adds the squared errors of four elements, those below 2^-126 as 0.
vec4 plusErrors(vec4 sums, vec4 x, Trial t) {
  vec4 rest = differences(x, t);
  precise vec4 squares = rest * rest;
  uvec4 bits = floatBitsToUint(squares);
  bits = mix(bits, uvec4(0u), lessThan(bits, uvec4(0x00800000u)));
  precise vec4 more = sums + uintBitsToFloat(bits);
  return more;
}

// Keeps elements from..from + 255 of the group, zeros after its end. Zeros have no error in any format.
void loadPiece(uint start, uint from, uint count) {
  barrier();  // readers of the piece before are done
  for (uint q = gl_LocalInvocationIndex; q < kSearchPiece / 4u; q += WG) {
    uint at = from + q * 4u;
    uvec4 bits = uvec4(0u);
    for (uint i = 0u; i < 4u; ++i) {
      if (at + i < count) bits[i] = nibLoadOne(start + at + i, push.head.delta1);
    }
    piece[q] = uintBitsToFloat(bits);
  }
  barrier();
}

void main() {
  Group g = locateGroup(push.head.tile_first + gl_WorkGroupID.x);
  if (!g.live) return;  // all of the workgroup
  uvec3 extent = groupExtent(g);
  bool searched = extent.z >= kLeastSearched && extent.z < kSearchedEnd;
  uint steps = searched ? push.steps : 1u;

  uint least = kNone;  // fp32 bits of an error, which order as the errors do
  uint best = kNone;
  NibFound best_found = NibFound(0u, 0u, 0, false);
  for (uint base = 0u; base < steps; base += WG) {
    uint index = base + gl_LocalInvocationIndex;
    bool live = index < steps;
    NibFound found = candidate(extent, min(index, steps - 1u));
    Trial trial = makeTrial(uvec4(nibReciprocal(found.bits)), uvec4(found.bits), ivec4(found.zero));
    vec4 sums = vec4(0.0);
    if (searched) {
      for (uint from = 0u; from < g.count; from += kSearchPiece) {
        loadPiece(g.start, from, g.count);
        uint quads = live ? (min(kSearchPiece, g.count - from) + 3u) >> 2 : 0u;
        for (uint q = 0u; q < quads; ++q) sums = plusErrors(sums, piece[q], trial);
      }
    }
    precise float low = sums.x + sums.y;
    precise float high = sums.z + sums.w;
    precise float error = low + high;
    uint error_bits = live ? floatBitsToUint(error) : kNone;
    if (error_bits < least) {
      least = error_bits;
      best = index;
      best_found = found;
    }
  }
  storeBest(g, least, best, best_found);
}
