#version 450
// Copies the activations of each group's results, so that a product reads them as rows of whole quads, zeros after the
// last column. A workgroup owns 4 * WG elements of the copy, an invocation four neighbouring columns of a result. With
// TOKENS 1 result i is group i, and the copy writes its record. Reads an element (2 or 4 bytes) once per result, writes
// 2 bytes per element of fp16 activations and 4 of others.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/matpick.h"
MATPICK_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MatpickPush push; };

#include "numerics/scale_store.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Choices { uint choices[]; };
layout(set = 0, binding = 1, std430) readonly buffer Input { uint input1[]; };
layout(set = 0, binding = 2, std430) buffer Scratch { uint scratch[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result2 { uvec2 result2[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result4 { uvec4 result4[]; };

const uint kRecord = 2u + TOKENS;

// An element as bits of the copy's type.
uint loadOne(uint element) {
  uint delta = push.source_word + push.head.delta1;
  if (INPUT_TYPE == NIB_F32) return input1[element + delta];
  uint half_word = (input1[(element >> 1) + delta] >> ((element & 1u) * 16u)) & 0xffffu;
  return INPUT_TYPE == NIB_BF16 ? half_word << 16 : half_word;
}

// The result of row `line` of the copy. False if there is none.
bool findResult(uint line, bool first, out uint result) {
  uint group = line / TOKENS, place = line - group * TOKENS;
  uint record = group * kRecord + push.head.delta2;
  if (TOKENS == 1u) {
    result = line;
    bool there = line < push.head.rows * push.choices;
    if (there && first) {
      uint chosen = choices[line + push.indices_word + push.head.delta0];
      scratch[record] = min(chosen, push.matrices - 1u);
      scratch[record + 1u] = 1u;
      scratch[record + 2u] = line;
    }
    return there;
  }
  if (group >= push.groups || place >= scratch[record + 1u]) return false;
  result = scratch[record + 2u + place];
  return true;
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint line = item / push.quads;
  uint quad = item - line * push.quads;
  uint result;
  if (!findResult(line, quad == 0u, result)) return;
  uint row = EACH ? result : result / push.choices;
  uvec4 x = uvec4(0u);
  [[unroll]] for (uint i = 0u; i < 4u; ++i) {
    uint col = quad * 4u + i;
    if (col < push.cols) x[i] = loadOne(row * push.input_stride + col);
  }
#ifdef NIB_FAULT
  // A planted fault, which tests must detect: the sign of every element.
  x ^= uvec4(INPUT_TYPE == NIB_F16 ? 0x8000u : 0x80000000u);
#endif
  uint at = line * push.quads + quad;
  uint base = push.copy_word + push.head.delta2;
  if (INPUT_TYPE == NIB_F16) {
    result2[at + (base >> 1)] = uvec2(x.x | x.y << 16, x.z | x.w << 16);
  } else {
    result4[at + (base >> 2)] = x;
  }
}
