#version 450
// Quantizes tokens to int8 codes with one scale each. Elements whose magnitude is at least a threshold are listed in
// fp32 instead, have code 0 and do not affect the scale (LLM.int8(), arXiv 2208.07339). A workgroup owns a token, an
// invocation every WG-th run of it: the first pass finds the scale and writes the list, in ascending columns by a
// prefix sum; the second pass writes the codes. Reads every element (2 or 4 bytes) twice, the second time from the
// cache, writes 1 byte per element and 8 bytes per outlier.
#extension GL_GOOGLE_include_directive : require
#include "ops/outliers.h"
OUTLIERS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { OutliersPush push; };

#include "format.glsl"
#include "memory/codes.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "workgroup/reduce.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Params { uint params[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

shared uint upto[WG];  // outliers of invocations 0..i in this iteration
shared uint list_end;  // the list has all outliers of the columns before this one

void loadRun(uint row_start, uint col, out uvec4 x[NIB_QUADS]) {
  nibLoadRun(row_start, col, push.cols, push.head.delta1, x);
#define NIB_INSIDE(q) \
  if (!FULL) x[q] &= nibInside(col + 4u * q, push.cols);
  NIB_EACH_QUAD(NIB_INSIDE)
}

// All ones for the elements that are outliers: finite, with a magnitude of at least the threshold.
uvec4 outliersOf(uvec4 x) {
  uvec4 magnitude = x & 0x7fffffffu;
  bvec4 large = lessThan(magnitude - push.threshold, uvec4(kNibInfinity - push.threshold));
  return mix(uvec4(0u), uvec4(~0u), large);
}

void main() {
  uint token = push.head.tile_first + gl_WorkGroupID.x;
  uint lane = gl_LocalInvocationIndex;
  uint row_start = token * push.stride;
  uint list = push.lists_word + token * (1u + 2u * MOST) + push.head.delta2;
  const uint step = WG * uint(NIB_RUN);
  if (lane == 0u) list_end = 0xffffffffu;

  uint listed = 0u;  // outliers of the columns so far
  uvec4 high = uvec4(0u);
  for (uint start = 0u; start < push.cols; start += step) {
    uint col = start + lane * uint(NIB_RUN);
    uvec4 x[NIB_QUADS];
    uint mask = 0u;
    if (col < push.cols) {
      loadRun(row_start, col, x);
#define NIB_MASK(q)                                                           \
  {                                                                           \
    uvec4 found = outliersOf(x[q]) & uvec4(1u, 2u, 4u, 8u);                   \
    mask |= ((found.x | found.y) | (found.z | found.w)) << (4u * q);          \
  }
      NIB_EACH_QUAD(NIB_MASK)
    }
    uint own = uint(bitCount(mask));
    barrier();
    upto[lane] = own;
    for (uint width = 1u; width < WG; width *= 2u) {
      barrier();
      uint before = lane >= width ? upto[lane - width] : 0u;
      barrier();
      upto[lane] += before;
    }
    barrier();
    uint rank = listed + upto[lane] - own;
    listed += upto[WG - 1u];
    uint taken = 0u;
    for (; mask != 0u && rank < MOST; ++rank) {
      uint i = uint(findLSB(mask));
      mask &= mask - 1u;
      taken |= 1u << i;
      params[list + 1u + 2u * rank] = col + i;
      params[list + 2u + 2u * rank] = nibLoadOne(row_start + col + i, push.head.delta1);
      if (rank + 1u == MOST) list_end = col + i + 1u;
    }
    if (col < push.cols) {
#define NIB_LARGEST(q)                                                                                    \
  {                                                                                                       \
    uvec4 out4 = (uvec4(taken) >> (uvec4(0u, 1u, 2u, 3u) + 4u * q)) & 1u;                                 \
    high = max(high, (x[q] & 0x7fffffffu) & (out4 - 1u));                                                 \
  }
      NIB_EACH_QUAD(NIB_LARGEST)
    }
  }

  NibReduced extent = nibWorkgroupReduce(NibReduced(0u, max(max(high.x, high.y), max(high.z, high.w)), 0u));
  bool finite = extent.high < kNibInfinity;
  uint count = finite ? min(listed, MOST) : 0u;
  NibFound found = nibFindScale(0u, 0u, finite ? extent.high : 0u, FLAGS, NIB_F32);
  if (lane == 0u) {
    params[list] = count;
    params[push.scales_word + token + push.head.delta2] = found.stored;
    if (STATUS && found.saturated) nibCountSaturated();
    if (STATUS) nibCountOutliers(count);
  }

  uvec4 rcp_bits = uvec4(nibReciprocal(found.bits));
  NibEncoder encoder = nibMakeEncoder(rcp_bits, ivec4(found.zero), FLAGS);
  uint bad = 0u, first_bad = 0xffffffffu;
  for (uint col = lane * uint(NIB_RUN); col < push.cols; col += step) {
    uvec4 x[NIB_QUADS];
    uint p[NIB_QUADS];
    loadRun(row_start, col, x);
#define NIB_ENCODE(q)                                                                                  \
  {                                                                                                    \
    uvec4 columns = col + 4u * q + uvec4(0u, 1u, 2u, 3u);                                              \
    uvec4 before = mix(uvec4(0u), uvec4(~0u), lessThan(columns, uvec4(list_end)));                     \
    uvec4 bits = finite ? x[q] & ~(outliersOf(x[q]) & before) : uvec4(0u);                             \
    p[q] = nibPack4(nibEncode4(uintBitsToFloat(bits), encoder));                                       \
  }
    NIB_EACH_QUAD(NIB_ENCODE)
    uint run = col / uint(NIB_RUN);
    uint first_word = run * NIB_RUN_WORDS;
    uint at = token * push.row_words + first_word + push.head.delta0;
#define NIB_STORE(w) \
  if (FULL || first_word + w < push.row_words) codes[at + w] = NIB_WORD(w) ^ NIB_FAULTY(token + run, w);
    NIB_EACH_WORD(NIB_STORE)
    if (STATUS && !finite) {
      uint first = 0xffffffffu;
      bad += nibCountBeyond(row_start, col, min(col + uint(NIB_RUN), push.cols), push.head.delta1, first);
      first_bad = min(first_bad, first);
    }
  }
  if (STATUS && bad > 0u) nibCountNonFinite(bad, token * push.cols + first_bad);
}
