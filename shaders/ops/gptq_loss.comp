#version 450
// Adds the squares of a block's errors to the loss of every row, in the order of the columns; the first block's run
// starts from 0. An invocation has one row. Reads 4 bytes per error.
#extension GL_GOOGLE_include_directive : require
#include "ops/gptq_loss.h"
GPTQ_LOSS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GptqLossPush push; };

#include "common/fault.glsl"
layout(set = 0, binding = 2, std430) buffer Loss { uint loss[]; };
layout(set = 0, binding = 3, std430) readonly buffer Aux { uint aux[]; };

void main() {
  uint row = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  if (row >= push.rows) return;
  uint at = push.loss_word + row + push.head.delta2;
  float total = 0.0;
  if (push.head.first_row != 0u) total = uintBitsToFloat(loss[at]);
  for (uint i = 0u; i < push.head.rows; ++i) {
    float e = uintBitsToFloat(aux[push.errors_word + i * push.errors_stride + row + push.head.delta3]);
    precise float square = e * e;
    precise float sum = total + square;
    total = sum;
  }
  loss[at] = floatBitsToUint(total) ^ kFault;
}
