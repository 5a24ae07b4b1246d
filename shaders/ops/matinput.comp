#version 450
// Copies activations whose rows do not allow loads of four elements, or whose columns are wanted in another order, to
// rows of whole quads with zeros after the last column. A workgroup owns 4 * WG elements of the copy, an invocation
// four neighbouring columns of a token. Reads an element (2 or 4 bytes) and with ORDER its column's index (4 bytes),
// writes 2 bytes per element of fp16 activations and 4 of others.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/matinput.h"
MATINPUT_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MatinputPush push; };

#include "numerics/scale_store.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Order { uint order[]; };
layout(set = 0, binding = 1, std430) readonly buffer Input { uint input1[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result2 { uvec2 result2[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result4 { uvec4 result4[]; };

// An element as bits of the copy's type.
uint loadOne(uint element) {
  if (INPUT_TYPE == NIB_F32) return input1[element + push.head.delta1];
  uint half_word = (input1[(element >> 1) + push.head.delta1] >> ((element & 1u) * 16u)) & 0xffffu;
  return INPUT_TYPE == NIB_BF16 ? half_word << 16 : half_word;
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint line = item / push.quads;
  uint quad = item - line * push.quads;
  uint token = line / push.batch;
  uint matrix = line - token * push.batch;
  if (token >= push.head.rows) return;
  uint row = matrix * push.tokens + token;
  uvec4 x = uvec4(0u);
  [[unroll]] for (uint i = 0u; i < 4u; ++i) {
    uint col = quad * 4u + i;
    if (col >= push.cols) continue;
    uint from = ORDER ? order[col + push.order_word + push.head.delta0] : col;
    if (!ORDER || from < push.cols) x[i] = loadOne(row * push.input_stride + from);
  }
#ifdef NIB_FAULT
  // A planted fault, which tests must detect: the sign of every element.
  x ^= uvec4(INPUT_TYPE == NIB_F16 ? 0x8000u : 0x80000000u);
#endif
  uint at = row * push.quads + quad;
  uint base = push.result_word + push.head.delta2;
  if (INPUT_TYPE == NIB_F16) {
    result2[at + (base >> 1)] = uvec2(x.x | x.y << 16, x.z | x.w << 16);
  } else {
    result4[at + (base >> 2)] = x;
  }
}
