#version 450
// Merges the records that pieces of the keys left in scratch to results. An invocation makes four neighbouring elements
// of a head from all pieces (4 bytes an element and piece, and 8 bytes a piece) in their order, and writes them (2 or 4
// bytes) once. COPY: copies the indices of a token (16 bytes) to scratch instead, so that a token's row of scratch
// holds all data that a workgroup reads for it, except the queries.
#extension GL_GOOGLE_include_directive : require
#include "ops/attention_merge.h"
ATTENTION_MERGE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { AttentionMergePush push; };

#include "common/fault.glsl"
#include "common/nibble_constants.h"
#include "numerics/exp_log.glsl"
const bool VEC = true;
const bool FULL = true;
#define NIB_DENSE_RESULT
#include "memory/dense.glsl"

layout(set = 0, binding = 1, std430) readonly buffer Source4 { vec4 source4[]; };
layout(set = 0, binding = 1, std430) readonly buffer Indices4 { uvec4 indices4[]; };

void copyIndices(uint token) {
  uvec4 entry = indices4[(token * 4u + push.indices_word + push.head.delta1) >> 2];
  if (kFault != 0u) entry.y = 0u;
  result4[(token * push.scratch_words + push.head.delta2) >> 2] = entry;
}

void merge(uint token, uint item) {
  uint head = item / push.head_quads;
  uint quad = item - head * push.head_quads;
  uint record_quads = push.head_quads + NIB_ATTENTION_RECORD / 4u;
  uint first = (token * push.scratch_words + 4u + push.head.delta1) / 4u + head * record_quads;
  uint piece_quads = push.heads * record_quads;
  float high = source4[first].x;
  for (uint p = 1u; p < push.pieces; ++p) high = max(high, source4[first + p * piece_quads].x);
  float total = 0.0;
  vec4 sum = vec4(0.0);
  for (uint p = 0u; p < push.pieces; ++p) {
    uint at = first + p * piece_quads;
    float factor = nibExp(source4[at].x - high);
    total += source4[at].y * factor;
    sum += source4[at + 1u + quad] * factor;
  }
  vec4 y = total > 0.0 ? sum / total : vec4(0.0);
  if (kFault != 0u) y.x = -y.x - 1.0;
  uvec4 bits = floatBitsToUint(y);
  bits = mix(bits, bits & 0x80000000u, equal(bits & 0x7f800000u, uvec4(0u)));
  uint element = token * push.result_stride + item * 4u;
  uint delta = push.result_word + push.head.delta2;
  if (RESULT_TYPE == NIB_F32) {
    result4[(element + delta) >> 2] = bits;
  } else {
    result2[((element >> 1) + delta) >> 1] = nibNarrow(bits);
  }
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint token = tile / push.tiles;
  uint item = (tile - token * push.tiles) * WG + gl_LocalInvocationIndex;
  if (COPY) {
    if (gl_LocalInvocationIndex == 0u) copyIndices(token);
  } else if (item < push.heads * push.head_quads) {
    merge(token, item);
  }
}
