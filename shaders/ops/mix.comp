#version 450
// Weighted sums of neighbouring rows, weights from logits. A workgroup makes WG runs of four results, an invocation
// four neighbouring columns of a row, whose weights it computes too. Reads 4 bytes per element of the source, and the
// logits once per four columns; writes 4 bytes per result.
#extension GL_GOOGLE_include_directive : require
#include "ops/mix.h"
MIX_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MixPush push; };

#include "common/fault.glsl"
#include "common/nibble_constants.h"
#include "numerics/exp_log.glsl"
layout(set = 0, binding = 0, std430) readonly buffer LogSums { float log_sums[]; };
layout(set = 0, binding = 1, std430) readonly buffer Source1 { float source1[]; };
layout(set = 0, binding = 1, std430) readonly buffer Source4 { vec4 source4[]; };
layout(set = 0, binding = 2, std430) buffer Result1 { float result1[]; };
layout(set = 0, binding = 2, std430) buffer Result4 { vec4 result4[]; };
layout(set = 0, binding = 3, std430) readonly buffer Logits { float logits[]; };

float logitOf(uint row, uint j) { return logits[push.logits_word + push.head.delta3 + row * push.count + j]; }

// offset: is taken from a row's logits before e is raised to them. factor: of the powers.
void beginRow(uint row, out float offset, out float factor) {
  offset = 0.0;
  factor = 1.0;
  if (WEIGHTING == NIB_MIX_ALL) offset = log_sums[push.log_sum_word + push.head.delta0 + row];
  if (WEIGHTING != NIB_MIX_CHOSEN) return;
  offset = logitOf(row, 0u);
  for (uint j = 1u; j < push.count; ++j) offset = max(offset, logitOf(row, j));
  float sum = 0.0;
  for (uint j = 0u; j < push.count; ++j) {
    precise float x = logitOf(row, j) - offset;
    sum += nibExp(x);
  }
  factor = 1.0 / sum;
}

float weightOf(float logit, float offset, float factor) {
  if (WEIGHTING == NIB_MIX_SIGN) return 1.0 / (1.0 + nibExp(-logit));
  precise float x = logit - offset;
  return nibExp(x) * factor;
}

vec4 loadQuad(uint row, uint col) {
  uint at = push.source_word + push.head.delta1 + row * push.source_stride + col;
  if (VEC) return source4[at >> 2];
  vec4 x = vec4(0.0);
  for (uint i = 0u; i < 4u && col + i < push.cols; ++i) x[i] = source1[at + i];
  return x;
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint row = item / push.quads;
  if (row >= push.head.rows) return;
  uint col = (item - row * push.quads) * 4u;
  float offset, factor;
  beginRow(row, offset, factor);
  vec4 sum = vec4(0.0);
  for (uint j = 0u; j < push.count; ++j) {
    sum += weightOf(logitOf(row, j), offset, factor) * loadQuad(row * push.count + j, col);
  }
  if (kFault != 0u) sum = -sum - 1.0;
  uint at = push.result_word + push.head.delta2 + row * push.result_stride + col;
  if (VEC) {
    result4[at >> 2] = RESIDUAL ? result4[at >> 2] + sum : sum;
    return;
  }
  for (uint i = 0u; i < 4u && col + i < push.cols; ++i) {
    result1[at + i] = RESIDUAL ? result1[at + i] + sum[i] : sum[i];
  }
}
