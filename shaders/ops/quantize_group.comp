#version 450
// Quantizes small groups with found scales in one pass over the source.
// One workgroup takes GROUPS groups of the row-major list of groups; LANES neighbouring invocations share a group, each
// owning a run of NIB_RUN elements and the words of their codes. Reads every source element once; writes codes, and per
// group a scale and a zero point. The only exchange is one word per invocation (two when asymmetric) of shared memory.
#extension GL_GOOGLE_include_directive : require
#include "ops/quantize_group.h"
QUANTIZE_GROUP_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { QuantizeGroupPush push; };

#include "format.glsl"
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#include "common/codes.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS writeonly
#define NIB_PARAMS_WRITE_ONLY
#include "common/params.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

shared uint shared_low[WG];   // keys of the minimum, asymmetric only
shared uint shared_high[WG];  // keys of the maximum, or bits of the absmax
shared uint shared_stored[GROUPS];
shared uint shared_zero[GROUPS];

const bool kAsymmetric = (FLAGS & NIB_ASYMMETRIC) != 0u;

void main() {
  uint lane = gl_LocalInvocationIndex;
  uint in_tile = lane / LANES;
  uint in_group = lane - in_tile * LANES;
  uint first_group = (push.head.tile_first + gl_WorkGroupID.x) * GROUPS;
  uint group = first_group + in_tile;
  uint group_count = push.head.rows * push.groups_per_row;
  uint row = group / push.groups_per_row;
  uint col = (group - row * push.groups_per_row) * push.group + in_group * uint(NIB_RUN);
  bool live = in_tile < GROUPS && group < group_count && col < push.cols;
  uint row_start = row * push.stride;

  uvec4 x[NIB_QUADS];
  uint low = 0xffffffffu;
  uint high = 0u;
  if (live) {
    for (uint q = 0u; q < NIB_QUADS; ++q) {
      x[q] = nibLoadQuad(row_start, col + 4u * q, push.cols, push.head.delta1);
      for (uint i = 0u; i < 4u; ++i) {
        // Elements beyond the row are 0 and change neither result. Inf and NaN have the largest magnitudes and keys
        // beyond all finite ones, so the extremes themselves tell of them.
        uint key = kAsymmetric ? nibKey(x[q][i]) : x[q][i] & 0x7fffffffu;
        high = max(high, key);
        if (kAsymmetric) low = min(low, key);
      }
    }
  }
  shared_high[lane] = high;
  if (kAsymmetric) shared_low[lane] = low;
  barrier();
  uint from = min(in_tile * LANES, WG - LANES);
  for (uint i = 0u; i < LANES; ++i) {
    high = max(high, shared_high[from + i]);
    if (kAsymmetric) low = min(low, shared_low[from + i]);
  }
  // Asymmetric: 0 belongs to the range, so clamping the keys to its key changes nothing.
  bool finite = kAsymmetric ? high < 0xff800000u && low > 0x007fffffu : high < 0x7f800000u;
  uint min_bits = kAsymmetric && finite ? nibUnkey(min(low, 0x80000000u)) : 0u;
  uint max_bits = kAsymmetric && finite ? nibUnkey(max(high, 0x80000000u)) : 0u;
  // Every invocation of a group finds the same scale; sharing it would cost a second exchange and barrier.
  NibFound found = nibFindScale(min_bits, max_bits, finite && !kAsymmetric ? high : 0u, FLAGS, SCALE_TYPE);
  NibEncoder encoder = nibMakeEncoderFromReciprocal(nibReciprocal(found.bits), found.zero, FLAGS);

  if (live) {
    uint words[NIB_RUN_WORDS];
    for (uint w = 0u; w < NIB_RUN_WORDS; ++w) words[w] = 0u;
    uint bad = 0u;
    uint first_bad = 0u;
    for (uint q = 0u; q < NIB_QUADS; ++q) {
      for (uint i = 0u; i < 4u; ++i) {
        uint element = 4u * q + i;
        // In a zero group the reciprocal is 0; only a NaN or infinity would not become the code of 0 by itself.
        uint bits = finite ? x[q][i] : 0u;
        uint code = nibEncode(uintBitsToFloat(bits), encoder, false);
        nibPutCode(words, element, FULL || col + element < push.cols ? code : 0u);
      }
    }
    uint first_word = (col / uint(NIB_RUN)) * NIB_RUN_WORDS;
    uint at = row * push.row_words + first_word + push.head.delta0;
    for (uint w = 0u; w < NIB_RUN_WORDS; ++w) {
      if (FULL || first_word + w < push.row_words) codes[at + w] = words[w] ^ NIB_FAULTY(col / uint(NIB_RUN), w);
    }
    if (STATUS && !finite) {
      uint count = 0u;
      uint first = 0u;
      for (uint e = uint(NIB_RUN); e > 0u; --e) {
        if (nibIsNonFinite(x[(e - 1u) / 4u][(e - 1u) % 4u])) {
          ++count;
          first = e - 1u;
        }
      }
      if (count > 0u) nibCountNonFinite(count, row * push.cols + col + first);
    }
    if (in_group == 0u) {
      shared_stored[in_tile] = found.stored;
      shared_zero[in_tile] = nibZeroToByte(found.zero);
      if (STATUS && found.saturated) nibCountSaturated();
    }
  } else if (in_group == 0u && in_tile < GROUPS) {
    shared_stored[in_tile] = 0u;
    shared_zero[in_tile] = 0u;
  }
  barrier();
  // GROUPS is a multiple of 4, so the words of scales and zero points belong to one workgroup as well.
  if (lane < GROUPS) {
    uint index = first_group + lane;
    if (index < group_count) {
      if (SCALE_TYPE == NIB_F32) {
        params[push.scales_word + index + push.head.delta2] = shared_stored[lane];
      } else if ((lane & 1u) == 0u) {
        params[push.scales_word + (index >> 1) + push.head.delta2] =
            shared_stored[lane] | (shared_stored[lane + 1u] << 16);
      }
      if (kAsymmetric && (lane & 3u) == 0u) {
        params[push.zeros_word + (index >> 2) + push.head.delta2] =
            shared_zero[lane] | (shared_zero[lane + 1u] << 8) | (shared_zero[lane + 2u] << 16) |
            (shared_zero[lane + 3u] << 24);
      }
    }
  }
}
