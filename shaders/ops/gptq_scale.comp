#version 450
// Finds scales and zero points of the groups that begin in a block of columns, from the elements of RESULT as they are
// before the block's run. A workgroup has one group of one row, or with SOLO each of its invocations. Reads every
// element of the groups once (4 bytes; twice for formats with a mean scale), writes a scale and if asymmetric a zero
// point per group.
#extension GL_GOOGLE_include_directive : require
#include "ops/gptq_scale.h"
GPTQ_SCALE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GptqScalePush push; };

#include "format.glsl"
#define NIB_PARAMS_BINDING 0
#define NIB_PARAMS_ACCESS
#include "memory/params.glsl"
#include "memory/scale_entry.glsl"
#include "workgroup/reduce.glsl"
#ifdef NIB_MEAN_SCALE
#define NIB_TEAMS
#include "workgroup/sum.glsl"
#endif
#include "common/fault.glsl"
layout(set = 0, binding = 2, std430) readonly buffer Result { uint result[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "memory/status.glsl"

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint item = SOLO ? tile * WG + gl_LocalInvocationIndex : tile;
  uint row = item / push.block_groups;
  uint first = push.head.first_row + (item - row * push.block_groups) * push.group;
  bool begins = row < push.rows && first % push.group == 0u && first < push.head.first_row + push.head.rows &&
                first < push.cols;
  if (!begins) return;  // of all of the workgroup, unless it is SOLO
  uint end = first + min(push.group, push.cols - first);
  uint start = row * push.cols + push.result_word + push.head.delta2;
  uint from = first + (SOLO ? 0u : gl_LocalInvocationIndex);
  const uint step = SOLO ? 1u : WG;
  const bool asymmetric = (FLAGS & NIB_ASYMMETRIC) != 0u;
  NibReduced extent = NibReduced(0xffffffffu, 0u, 0u);
  for (uint col = from; col < end; col += step) {
    uint bits = result[start + col];
    if (asymmetric) {
      uint key = nibKey(bits);
      extent.low = min(extent.low, key);
      extent.high = max(extent.high, key);
    } else {
      extent.high = max(extent.high, bits & 0x7fffffffu);
    }
  }
  if (!SOLO) extent = nibWorkgroupReduce(extent);
  uint min_bits = asymmetric ? nibUnkey(min(extent.low, 0x80000000u)) : 0u;
  uint max_bits = asymmetric ? nibUnkey(max(extent.high, 0x80000000u)) : 0u;
  uint absmax_bits = asymmetric ? 0u : extent.high;
#ifdef NIB_MEAN_SCALE
  if ((FLAGS & NIB_NARROW) == 0u) {
    uint largest = absmax_bits >> 23;
    uvec2 sum = uvec2(0u);
    for (uint col = from; col < end; col += step) {
      sum = nibWideAdd(sum, nibMeanPart(result[start + col] & 0x7fffffffu, largest), 0u);
    }
    if (!SOLO) sum = nibTeamSum(sum, 0u, WG);
    absmax_bits = nibMeanBits(sum, end - first, largest);
  }
#endif
  NibFound found = nibFindScale(min_bits, max_bits, absmax_bits, FLAGS, SCALE_TYPE);
  if (!SOLO && gl_LocalInvocationIndex != 0u) return;
  if (found.saturated) nibCountSaturated();
  found.stored ^= kFault;
  nibStoreFound(row, first / push.group, found, push.head.delta0);
}
