#version 450
// Writes a word of scratch per column, from the order of the columns: the position of every column, or the group of the
// column at every position. An invocation has one position. Reads and writes 4 bytes per column.
#extension GL_GOOGLE_include_directive : require
#include "ops/gptq_order.h"
GPTQ_ORDER_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GptqOrderPush push; };

#include "common/fault.glsl"
layout(set = 0, binding = 1, std430) readonly buffer Order { uint order[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Aux { uint aux[]; };

void main() {
  uint p = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  if (p >= push.cols) return;
  uint column = order[push.order_word + p + push.head.delta1];
  uint to = push.scratch_word + push.head.delta3;
  if (INVERT) {
    if (column < push.cols) aux[to + column] = kFault != 0u ? push.cols - 1u - p : p;
  } else {
    aux[to + p] = kFault != 0u ? 0u : min(column, push.cols - 1u) / push.group;
  }
}
