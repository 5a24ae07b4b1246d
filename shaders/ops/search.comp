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

const uint kLeastSearched = 0x2b800000u;  // 2^-40
const uint kSearchedEnd = 0x53800000u;    // 2^40
const uint kNone = 0xffffffffu;

shared vec4 piece[kSearchPiece / 4u];

// fp32 bits of p * the value of `bits`; below 2^-126 they are 0.
uint shrunk(float p, uint bits) {
  precise float product = p * uintBitsToFloat(bits);
  return nibFlushBits(floatBitsToUint(product));
}

// The scale of candidate `index` for a group of this extent: {min, max, absmax}.
NibFound candidate(uvec3 extent, uint index) {
  precise float below = float(index) * push.step;
  precise float p = 1.0 - below;
  return nibFindScale(shrunk(p, extent.x), shrunk(p, extent.y), shrunk(p, extent.z), FLAGS, SCALE_TYPE);
}

// Codes of one candidate, for four elements at a time.
struct Trial {
  NibEncoder encoder;
  uvec4 bound;
  NibDecoder decoder;
};

Trial makeTrial(NibFound found) {
  Trial t;
  uvec4 rcp_bits = uvec4(nibReciprocal(found.bits));
  t.encoder = nibMakeEncoder(rcp_bits, ivec4(found.zero), FLAGS);
  t.bound = nibEncoderBound(rcp_bits);
  t.decoder = nibMakeDecoder(uvec4(found.bits), ivec4(found.zero));
  return t;
}

// Adds the squared errors of four elements, those below 2^-126 as 0.
vec4 plusErrors(vec4 sums, vec4 x, Trial t) {
  ivec4 code = nibEncode4(nibBounded(x, t.bound), t.encoder);
  precise vec4 rest = x - uintBitsToFloat(nibDecode4(code, t.decoder));
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

// fp32 bits {min, max, absmax} of `count` elements; zeros if one is not finite. element: index of the first in the run.
uvec3 groupExtent(uint start, uint count, uint element) {
  NibReduced extent = nibEmptyExtent();
  uint first = kNone;
  for (uint i = gl_LocalInvocationIndex; i < count; i += WG) {
    uint bits = nibLoadOne(start + i, push.head.delta1);
    if (nibIsBeyond(bits)) {
      ++extent.count;
      first = min(first, i);
    } else {
      uint key = nibKey(bits);
      extent.low = min(extent.low, key);
      extent.high = max(extent.high, key);
    }
  }
  if (STATUS && extent.count != 0u) nibCountNonFinite(extent.count, element + first);
  extent = nibWorkgroupReduce(extent);
  return extent.count == 0u ? nibExtentBits(extent) : uvec3(0u);
}

void main() {
  uint item = push.head.tile_first + gl_WorkGroupID.x;
  uint row = item / push.run_groups;
  uint group = item - row * push.run_groups;
  uint blob_row = row;
  if (COLUMNS) {
    uint before = push.head.first_row / push.group;
    group += before * push.group == push.head.first_row ? before : before + 1u;
    uint end = push.head.first_row + push.head.rows;
    if (row >= push.rows || group >= push.groups_per_row || group * push.group >= end) return;  // all of the workgroup
  } else {
    blob_row += push.head.first_row;
    if (row >= push.head.rows) return;
  }
  uint first = group * push.group;
  uint count = min(push.group, push.cols - first);
  uint start = row * push.stride + first;
  uvec3 extent = groupExtent(start, count, row * push.cols + first);
  bool searched = extent.z >= kLeastSearched && extent.z < kSearchedEnd;
  uint steps = searched ? push.steps : 1u;

  uint least = kNone;  // fp32 bits of an error, which order as the errors do
  uint best = kNone;
  NibFound best_found = NibFound(0u, 0u, 0, false);
  for (uint base = 0u; base < steps; base += WG) {
    uint index = base + gl_LocalInvocationIndex;
    bool live = index < steps;
    NibFound found = candidate(extent, min(index, steps - 1u));
    Trial trial = makeTrial(found);
    vec4 sums = vec4(0.0);
    if (searched) {
      for (uint from = 0u; from < count; from += kSearchPiece) {
        loadPiece(start, from, count);
        uint quads = live ? (min(kSearchPiece, count - from) + 3u) >> 2 : 0u;
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
  NibReduced all = nibWorkgroupReduce(NibReduced(least, 0u, 0u));
  NibReduced winner = nibWorkgroupReduce(NibReduced(least == all.low ? best : kNone, 0u, 0u));
  if (best != winner.low) return;
  if (STATUS && best_found.saturated) nibCountSaturated();
  best_found.stored ^= kFault;
  nibStoreFound(blob_row, group, best_found, push.head.delta0);
}
