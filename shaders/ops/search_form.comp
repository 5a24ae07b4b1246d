#version 450
// Finds scales (and zero points) of the least error of the outputs, e^T H e. A workgroup has one group of one row, and
// tries WG / 4 candidates at a time: an invocation has four of them, and every 16th row of H, so that it owns one
// partial sum of each. The errors of a piece of the group lie in shared memory. Reads every element once for the extent
// and once per WG / 4 candidates (2 or 4 bytes, all but the first time from the cache), and as often an entry of H's
// triangle for each pair of columns (4 bytes, from the cache after the first row); writes a scale and if asymmetric a
// zero point per group.
#extension GL_GOOGLE_include_directive : require
#include "ops/search_form.h"
SEARCH_FORM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { SearchFormPush push; };

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
layout(set = 0, binding = 2, std430) readonly buffer Hessian { uint hessian[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"
#include "products/scale_trials.glsl"
#include "numerics/search_form.glsl"

const uint QUADS = WG / kSearchFormSums;  // of candidates

shared vec4 errors[SPAN * QUADS];  // a quad of each column; then partial sums

// First entry of H between a column of the group and the group's first one.
uint entryOf(uint col, uint from) {
  return col * push.cols + from + push.hessian_word + push.head.delta2;
}

// The exponent of the unit of H's entries in the group's columns. Call in uniform control flow.
uint groupExponent(Group g) {
  uint largest = 0u;
  for (uint i = gl_LocalInvocationIndex; i < g.count; i += WG) {
    largest = max(largest, hessian[entryOf(g.first + i, g.first + i)] & 0x7fffffffu);
  }
  return nibHessianExponent(nibWorkgroupReduce(NibReduced(0u, largest, 0u)).high);
}

// Makes the errors of columns from..from + count - 1 of the group, every 16th of them.
void makeErrors(Group g, uint from, uint count, uint slot, uint quad, Trial trial, uint absmax_exponent) {
  for (uint i = slot; i < count; i += kSearchFormSums) {
    vec4 x = vec4(uintBitsToFloat(nibLoadOne(g.start + from + i, push.head.delta1)));
    errors[i * QUADS + quad] = nibHessianErrors(differences(x, trial), absmax_exponent);
  }
}

// e[i] * t[i] of column `from` + i.
vec4 formTerm(Group g, uint from, uint i, uint quad, uint exponent) {
  uint at = entryOf(g.first + from + i, g.first + from);
  vec4 e = errors[i * QUADS + quad];
  if (exponent == 0u) {
    precise vec4 square = e * e;
    return square;
  }
  precise vec4 sum = vec4(0.0);
  for (uint j = 0u; j < i; ++j) {
    precise vec4 product = nibHessianEntry(hessian[at + j], exponent) * errors[j * QUADS + quad];
    sum += product;
  }
  precise vec4 own = nibHessianEntry(hessian[at + i], exponent) * e;
  precise vec4 both = sum + sum;
  precise vec4 t = both + own;
  precise vec4 term = e * t;
  return term;
}

void main() {
  Group g = locateGroup(push.head.tile_first + gl_WorkGroupID.x);
  // All of the workgroup.
  if (!g.live || g.first < push.window_row || g.first - push.window_row >= push.window_rows) return;
  uvec3 extent = groupExtent(g);
  uint exponent = groupExponent(g);
  bool searched = extent.z >= kLeastSearched && extent.z < kSearchedEnd;
  uint steps = searched ? push.steps : 1u;
  uint quad = gl_LocalInvocationIndex % QUADS;
  uint slot = gl_LocalInvocationIndex / QUADS;

  uint least = kNone;  // nibKey of an error
  uint best = kNone;
  NibFound best_found = NibFound(0u, 0u, 0, false);
  for (uint base = 0u; base < steps; base += QUADS * 4u) {
    uint index = base + quad * 4u;
    NibFound found0 = candidate(extent, min(index, steps - 1u));
    NibFound found1 = candidate(extent, min(index + 1u, steps - 1u));
    NibFound found2 = candidate(extent, min(index + 2u, steps - 1u));
    NibFound found3 = candidate(extent, min(index + 3u, steps - 1u));
    uvec4 rcp_bits = uvec4(nibReciprocal(found0.bits), nibReciprocal(found1.bits), nibReciprocal(found2.bits),
                           nibReciprocal(found3.bits));
    Trial trial = makeTrial(rcp_bits, uvec4(found0.bits, found1.bits, found2.bits, found3.bits),
                            ivec4(found0.zero, found1.zero, found2.zero, found3.zero));
    precise vec4 sums = vec4(0.0);
    for (uint from = 0u; searched && from < g.count; from += kSearchFormPiece) {
      uint count = min(kSearchFormPiece, g.count - from);
      barrier();  // readers of the piece before are done
      makeErrors(g, from, count, slot, quad, trial, extent.z >> 23);
      barrier();
      for (uint i = slot; i < count; i += kSearchFormSums) {
        vec4 term = formTerm(g, from, i, quad, exponent);
        sums += term;
      }
    }
    barrier();
    errors[gl_LocalInvocationIndex] = sums;
    for (uint half_sums = kSearchFormSums / 2u; half_sums > 0u; half_sums /= 2u) {
      barrier();
      if (slot < half_sums) {
        precise vec4 sum =
            errors[gl_LocalInvocationIndex] + errors[gl_LocalInvocationIndex + half_sums * QUADS];
        errors[gl_LocalInvocationIndex] = sum;
      }
    }
    barrier();
    if (slot != 0u) continue;
    uvec4 keys = nibKey4(floatBitsToUint(errors[quad]));
#define NIB_OFFER(k, key, found)                  \
    if (index + k < steps && key < least) {       \
      least = key;                                \
      best = index + k;                           \
      best_found = found;                         \
    }
    NIB_OFFER(0u, keys.x, found0)
    NIB_OFFER(1u, keys.y, found1)
    NIB_OFFER(2u, keys.z, found2)
    NIB_OFFER(3u, keys.w, found3)
  }
  storeBest(g, least, best, best_found);
}
