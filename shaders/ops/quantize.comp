#version 450
// Quantizes rows, or groups within rows, with scales it finds, in one dispatch.
// A team of LANES invocations takes PACK neighbouring groups one after another: a pass for the extent, a pass for the
// codes. An invocation owns every LANES-th run of a group and the words of its codes; the team's first one owns the words
// of scales and zero points. With SINGLE the run stays in registers and the source is read once; otherwise the second
// pass finds it in the cache. Teams of one exchange nothing.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/quantize.h"
QUANTIZE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { QuantizePush push; };

#include "format.glsl"
#include "common/codes.glsl"
const bool ONLY_FINITE = false;
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#define NIB_TEAMS
#include "common/reduce.glsl"
#include "common/extent.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS writeonly
#define NIB_PARAMS_WRITE_ONLY
#include "common/params.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

const bool kAsymmetric = (FLAGS & NIB_ASYMMETRIC) != 0u;
const bool kBounded = SCALE_TYPE == NIB_F16;  // see nibEncoderBound
// Magnitudes of 16-bit types order as they are stored: the last one alone is widened.
const bool kMagnitudes = !kAsymmetric && VEC && SOURCE_TYPE != NIB_F32;

void storeRun(uint row, uint col, uvec4 x[NIB_QUADS], NibEncoder encoder, uvec4 bound) {
  uint p[NIB_QUADS];
#define NIB_ENCODE(q)                                                          \
  {                                                                            \
    vec4 v = uintBitsToFloat(x[q]);                                            \
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
  if (FULL || first_word + w < push.row_words) codes[at + w] = NIB_WORD(w) ^ NIB_FAULTY(run, w);
  NIB_EACH_WORD(NIB_STORE)
}

// Called for groups that hold something non-finite, so it may take its time.
void countNonFinite(uint row, uint from, uint end, uint step) {
  uint count = 0u;
  uint first = 0xffffffffu;
  for (uint col = from; col < end; col += step) {
    for (uint i = 0u; i < uint(NIB_RUN) && col + i < end; ++i) {
      if (nibIsNonFinite(nibLoadOne(row * push.stride + col + i, push.head.delta1))) {
        ++count;
        first = min(first, col + i);
      }
    }
  }
  if (count > 0u) nibCountNonFinite(count, row * push.cols + first);
}

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint team = lane / LANES;
  uint in_team = lane - team * LANES;
  uint teams = WG / LANES;
  uint first_group = ((push.head.tile_first + gl_WorkGroupID.x) * teams + team) * PACK;
  uint group_count = push.head.rows * push.groups_per_row;
  uint step = LANES * uint(NIB_RUN);
  uint scale_word = 0u;
  uint zero_word = 0u;

  for (uint k = 0u; k < PACK; ++k) {
    uint group = first_group + k;
    bool live = team < teams && group < group_count;
    uint row = group / push.groups_per_row;
    uint group_col = (group - row * push.groups_per_row) * push.group;
    uint from = group_col + in_team * uint(NIB_RUN);
    uint end = live ? min(group_col + push.group, push.cols) : 0u;
    uint row_start = row * push.stride;

    // Inf and NaN have magnitudes and keys beyond all finite ones, so the extremes tell of them. Elements beyond the
    // row are 0, which no scale depends on.
    uvec4 low = uvec4(0xffffffffu);
    uvec4 high = uvec4(0u);
    uvec4 x[NIB_QUADS];
#define NIB_LOAD(q) x[q] = nibLoadQuad(row_start, col + 4u * q, push.cols, push.head.delta1);
#define NIB_MEET(q)                            \
  if (kAsymmetric) {                           \
    uvec4 key = nibKey4(x[q]);                 \
    low = min(low, key);                       \
    high = max(high, key);                     \
  } else {                                     \
    high = max(high, x[q] & 0x7fffffffu);      \
  }
// The first of two passes: what is loaded is not kept.
#define NIB_MAGNITUDE(q)                                                                            \
  if (kMagnitudes) {                                                                                \
    high = max(high, nibLoadMagnitudes(row_start, col + 4u * q, push.cols, push.head.delta1));      \
  } else {                                                                                          \
    NIB_LOAD(q)                                                                                     \
    NIB_MEET(q)                                                                                     \
  }
    if (SINGLE) {
      uint col = from;
      if (col < end) {
        NIB_EACH_QUAD(NIB_LOAD)
        NIB_EACH_QUAD(NIB_MEET)
      }
    } else {
      for (uint col = from; col < end; col += step) {
        NIB_EACH_QUAD(NIB_MAGNITUDE)
      }
      if (kMagnitudes) high = nibWidenMagnitudes(high);
    }
    NibReduced extent = NibReduced(min(min(low.x, low.y), min(low.z, low.w)),
                                   max(max(high.x, high.y), max(high.z, high.w)), 0u);
    if (LANES > 1u) extent = nibTeamReduce(extent, team, LANES);

    // Asymmetric: 0 belongs to the range, so bounding the keys by its key changes nothing.
    bool finite = kAsymmetric ? extent.high < 0xff800000u && extent.low > 0x007fffffu : extent.high < 0x7f800000u;
    uint min_bits = kAsymmetric && finite ? nibUnkey(min(extent.low, 0x80000000u)) : 0u;
    uint max_bits = kAsymmetric && finite ? nibUnkey(max(extent.high, 0x80000000u)) : 0u;
    uint absmax_bits = !kAsymmetric && finite ? extent.high : 0u;
    // Every invocation of a team finds the same scale: sharing it would cost another exchange.
    NibFound found = nibFindScale(min_bits, max_bits, absmax_bits, FLAGS, SCALE_TYPE);
    uvec4 rcp_bits = uvec4(nibReciprocal(found.bits));
    NibEncoder encoder = nibMakeEncoder(rcp_bits, ivec4(found.zero), FLAGS);
    uvec4 bound = nibEncoderBound(rcp_bits);

#define NIB_CLEAR(q) x[q] = finite ? x[q] : uvec4(0u);
    if (SINGLE) {
      if (from < end) {
        NIB_EACH_QUAD(NIB_CLEAR)
        storeRun(row, from, x, encoder, bound);
      }
    } else {
      for (uint col = from; col < end; col += step) {
        NIB_EACH_QUAD(NIB_LOAD)
        NIB_EACH_QUAD(NIB_CLEAR)
        storeRun(row, col, x, encoder, bound);
      }
    }
    if (STATUS && !finite) countNonFinite(row, from, end, step);

    if (in_team == 0u && live) {
      if (STATUS && found.saturated) nibCountSaturated();
      if (SCALE_TYPE == NIB_F32) {
        params[push.scales_word + group + push.head.delta2] = found.stored;
      } else {
        scale_word |= found.stored << ((k & 1u) * 16u);
        if ((k & 1u) == 1u || group + 1u == group_count) {
          params[push.scales_word + (group >> 1) + push.head.delta2] = scale_word;
          scale_word = 0u;
        }
      }
      zero_word |= nibZeroToByte(found.zero) << (k * 8u);
    }
  }
  if (kAsymmetric && in_team == 0u && team < teams && first_group < group_count) {
    params[push.zeros_word + (first_group >> 2) + push.head.delta2] = zero_word;
  }
}
