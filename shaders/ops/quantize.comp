#version 450
// Quantizes rows, or groups within rows, with scales it finds, in one dispatch. A workgroup owns WG / LANES teams; a
// team of LANES invocations takes PACK neighbouring groups one after another: a pass for the extent, for formats with a
// mean scale a pass for the sum, and a pass for the codes. An invocation owns every LANES-th run of a group and the
// words of its codes; the first of a team owns the words of scales and zero points. Runs that are kept in registers are
// read once; later passes find the others in the cache. Teams of one invocation exchange nothing. Reads every element
// (2 or 4 bytes) once from memory, writes NIB_BITS bits per element and per group one scale (1, 2 or 4 bytes) and, if
// asymmetric, one zero point (1 byte).
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/quantize.h"
QUANTIZE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { QuantizePush push; };

#include "format.glsl"
#include "memory/codes.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#define NIB_TEAMS
#include "workgroup/reduce.glsl"
#include "workgroup/run_extent.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS
#define NIB_PARAMS_WRITE_ONLY
#include "memory/params.glsl"
#include "memory/shared_words.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"
#ifdef NIB_MEAN_SCALE
#include "workgroup/sum.glsl"
const bool kMean = (FLAGS & NIB_NARROW) == 0u;
#endif

const bool kAsymmetric = (FLAGS & NIB_ASYMMETRIC) != 0u;
const bool kBounded = SCALE_TYPE == NIB_F16;  // see nibEncoderBound
// Magnitudes of 16-bit types order as they are stored: the last one alone is widened.
const bool kMagnitudes = !kAsymmetric && SOURCE_TYPE != NIB_F32;

void accumulateMagnitudes(uint row_start, uint col, inout uvec4 high) {
#define NIB_MAGNITUDES(a, b)                                                                        \
  {                                                                                                 \
    uvec4 words = nibLoadWords8(row_start, col + 4u * a, push.cols, push.head.delta1);              \
    high = max(high, max(nibMagnitudes(words.xy), nibMagnitudes(words.zw)));                        \
  }
  NIB_EACH_PAIR(NIB_MAGNITUDES)
}

#ifdef NIB_MEAN_SCALE
// Adds a run's share of its group's mean.
void sumRun(uint col, uvec4 x[NIB_QUADS], uint largest, inout uvec2 sum) {
  uvec4 parts = uvec4(0u);
#define NIB_SUM(q)                                                                           \
  {                                                                                          \
    uvec4 magnitude = x[q] & 0x7fffffffu;                                                    \
    if (!FULL) magnitude &= nibInside(col + 4u * q, push.cols);                              \
    parts += nibMeanPart4(magnitude, uvec4(largest));                                        \
  }
  NIB_EACH_QUAD(NIB_SUM)
  sum = nibWideAdd(sum, (parts.x + parts.y) + (parts.z + parts.w), 0u);
}
#endif

void storeRun(uint row, uint col, bool finite, uvec4 x[NIB_QUADS], NibEncoder encoder, uvec4 bound) {
  uint p[NIB_QUADS];
#define NIB_ENCODE(q)                                                          \
  {                                                                            \
    vec4 v = uintBitsToFloat(finite ? x[q] : uvec4(0u));                       \
    if (kBounded) v = nibBounded(v, bound);                                    \
    ivec4 code = nibEncode4(v, encoder);                                       \
    if (!FULL) code &= ivec4(nibInside(col + 4u * q, push.cols));              \
    p[q] = nibPack4(code);                                                     \
  }
  NIB_EACH_QUAD(NIB_ENCODE)
  uint run = col / uint(NIB_RUN);
  uint first_word = run * NIB_RUN_WORDS;
  uint at = row * push.row_words + first_word + push.head.delta0;
#define NIB_STORE(w) \
  if (FULL || first_word + w < push.row_words) codes[at + w] = NIB_WORD(w) ^ NIB_FAULTY(row + run, w);
  NIB_EACH_WORD(NIB_STORE)
}

// Called for groups that hold something non-finite.
void countNonFinite(uint row, uint from, uint end, uint step) {
  uint row_start = row * push.stride;
  uint count = 0u;
  uint first = 0xffffffffu;
  for (uint col = from; col < end; col += step) {
    uint first_here = 0xffffffffu;
    count += nibCountBeyond(row_start, col, min(col + uint(NIB_RUN), end), push.head.delta1, first_here);
    first = min(first, first_here);
  }
  if (count > 0u) nibCountNonFinite(count, row * push.cols + first);
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint team = lane / LANES;
  uint in_team = lane - team * LANES;
  uint teams = WG / LANES;
  // Items are scales of the blob, counted from the word that holds the run's first one.
  uint first_scale = push.head.first_row * push.scale_row_stride;
  uint lead = first_scale % PACK;
  uint first_item = ((push.head.tile_first + gl_WorkGroupID.x) * teams + team) * PACK;
  uint end_item = lead + push.head.rows * push.scale_row_stride;
  bool last_rows = push.head.first_row + push.head.rows == push.blob_rows;
  uint first_index = first_scale - lead + first_item;
  uint step = LANES * uint(NIB_RUN);
  uint scale_word = 0u;
  uint scale_mask = 0u;
  uint zero_word = 0u;
  uint zero_mask = 0u;
  bool word_used = false;

  for (uint k = 0u; k < PACK; ++k) {
    uint item = first_item + k;
    bool inside = team < teams && item >= lead && item < end_item;
    uint row = (item - lead) / push.scale_row_stride;
    uint group = item - lead - row * push.scale_row_stride;
    bool live = inside && group < push.groups_per_row;  // else padding
    uint group_col = group * push.group;
    uint from = group_col + in_team * uint(NIB_RUN);
    uint end = live ? min(group_col + push.group, push.cols) : 0u;
    uint row_start = row * push.stride;

    // Elements beyond the row are loaded as the last ones of its last group.
    uvec4 low = uvec4(0xffffffffu);
    uvec4 high = uvec4(0u);
#define NIB_KEPT(r)                                                          \
  if (KEEP > r && from + r * step < end) {                                   \
    nibLoadRun(row_start, from + r * step, push.cols, push.head.delta1, x##r); \
    nibAccumulateRun(x##r, kAsymmetric, low, high);                          \
  }
    uvec4 x0[NIB_QUADS], x1[NIB_QUADS], x2[NIB_QUADS], x3[NIB_QUADS];
    NIB_KEPT(0) NIB_KEPT(1) NIB_KEPT(2) NIB_KEPT(3)
    if (MORE) {
      uvec4 magnitudes = uvec4(0u);
      for (uint col = from + KEEP * step; col < end; col += step) {
        if (kMagnitudes) {
          accumulateMagnitudes(row_start, col, magnitudes);
        } else {
          uvec4 x[NIB_QUADS];
          nibLoadRun(row_start, col, push.cols, push.head.delta1, x);
          nibAccumulateRun(x, kAsymmetric, low, high);
        }
      }
      if (kMagnitudes) high = max(high, nibWidenMagnitudes(magnitudes));
    }
    NibReduced reduced = nibExtentOf(low, high);
    if (LANES > 1u) reduced = nibTeamReduce(reduced, team, LANES);
    NibRunExtent extent = nibRunExtent(reduced, kAsymmetric);
    uint absmax_bits = extent.absmax_bits;
#ifdef NIB_MEAN_SCALE
    if (kMean) {
      uint largest = absmax_bits >> 23;
      uvec2 sum = uvec2(0u);
#define NIB_SUM_KEPT(r) \
  if (KEEP > r && from + r * step < end) sumRun(from + r * step, x##r, largest, sum);
      NIB_SUM_KEPT(0) NIB_SUM_KEPT(1) NIB_SUM_KEPT(2) NIB_SUM_KEPT(3)
      if (MORE) {
        for (uint col = from + KEEP * step; col < end; col += step) {
          uvec4 x[NIB_QUADS];
          nibLoadRun(row_start, col, push.cols, push.head.delta1, x);
          sumRun(col, x, largest, sum);
        }
      }
      if (LANES > 1u) sum = nibTeamSum(sum, team, LANES);
      absmax_bits = nibMeanBits(sum, end - group_col, largest);
    }
#endif
    // Every invocation of a team finds the same scale: sharing it would cost another exchange.
    NibFound found = nibFindScale(extent.min_bits, extent.max_bits, absmax_bits, FLAGS, SCALE_TYPE);
    uvec4 rcp_bits = uvec4(nibReciprocal(found.bits));
    NibEncoder encoder = nibMakeEncoder(rcp_bits, ivec4(found.zero), FLAGS);
    uvec4 bound = nibEncoderBound(rcp_bits);

#define NIB_STORE_KEPT(r) \
  if (KEEP > r && from + r * step < end) storeRun(row, from + r * step, extent.finite, x##r, encoder, bound);
    NIB_STORE_KEPT(0) NIB_STORE_KEPT(1) NIB_STORE_KEPT(2) NIB_STORE_KEPT(3)
    if (MORE) {
      for (uint col = from + KEEP * step; col < end; col += step) {
        uvec4 x[NIB_QUADS];
        nibLoadRun(row_start, col, push.cols, push.head.delta1, x);
        storeRun(row, col, extent.finite, x, encoder, bound);
      }
    }
    if (STATUS && !extent.finite) countNonFinite(row, from, end, step);

    if (in_team == 0u && team < teams) {
      if (STATUS && live && found.saturated) nibCountSaturated();
      // 1, 2 or 4 scales to a word.
      const uint shift = SCALE_TYPE == NIB_F32 ? 0u : SCALE_TYPE == NIB_E8M0 ? 2u : 1u;
      const uint last = (1u << shift) - 1u;
      uint at = (k & last) * (32u >> shift);
      bool owned = nibOwnsItem(item, lead, end_item, last_rows);
      scale_word |= live ? found.stored << at : 0u;
      scale_mask |= owned ? (~0u >> (32u - (32u >> shift))) << at : 0u;
      zero_word |= live ? nibZeroToStored(found.zero) << (k * 8u) : 0u;
      zero_mask |= owned ? 0xffu << (k * 8u) : 0u;
      word_used = word_used || inside;
      if ((k & last) == last) {
        if (word_used) {
          nibStoreShared(push.scales_word + ((first_index + k) >> shift) + push.head.delta2, scale_word, scale_mask);
        }
        scale_word = 0u;
        scale_mask = 0u;
        word_used = false;
      }
    }
  }
  if (kAsymmetric && in_team == 0u && team < teams && first_item < end_item) {
    nibStoreShared(push.zeros_word + (first_index >> 2) + push.head.delta2, zero_word, zero_mask);
  }
}
