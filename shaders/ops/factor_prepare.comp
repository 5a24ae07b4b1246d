#version 450
// The matrix that is factored: a permuted, scaled and damped symmetric matrix, whose lower triangle the source has,
// becomes an upper triangle over zeros. An invocation makes four neighbouring elements of a row. Reads an element of
// the source (4 bytes) and writes one of the result (4 bytes) once. The dispatch of another window makes the elements
// whose source lies there; the first window's dispatch writes the zeros.
#extension GL_GOOGLE_include_directive : require
#include "ops/factor_prepare.h"
#include "ops/factor_mean.h"
FACTOR_PREPARE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { FactorPreparePush push; };

#include "common/fault.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Info { float info[]; };
layout(set = 0, binding = 1, std430) readonly buffer Source { float source[]; };
layout(set = 0, binding = 2, std430) writeonly buffer Result { float result[]; };
layout(set = 0, binding = 3, std430) readonly buffer Order { uint order[]; };

// The column of the source at a position.
uint columnAt(uint position) {
  if (!ORDER) return position;
  return min(order[push.order_word + position + push.head.delta3], push.cols - 1u);
}

float infoAt(uint word) { return info[push.info_word + word + push.head.delta0]; }

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint quads = (push.cols + 3u) >> 2;
  uint row = item / quads;
  if (row >= push.head.rows) return;
  uint first_col = (item - row * quads) * 4u;
  uint at = push.result_word + row * push.cols + first_col + push.head.delta2;
  uint a = columnAt(row);
  float inverse_unit = uintBitsToFloat((254u << 23) - floatBitsToUint(infoAt(NIB_INFO_UNIT)));
  for (uint c = 0u; c < 4u && first_col + c < push.cols; ++c) {
    uint col = first_col + c;
    if (col < row) {
      if (push.window_row == 0u) result[at + c] = 0.0;
      continue;
    }
    uint b = columnAt(col);
    uint high = max(a, b);
    if (high - push.window_row >= push.window_rows) continue;
    float x = source[push.source_word + high * push.cols + min(a, b) + push.head.delta1];
    if (col == row) {
      if ((floatBitsToUint(x) & 0x7fffffffu) < 0x00800000u) x = infoAt(NIB_INFO_MEAN);
      x = x * inverse_unit + infoAt(NIB_INFO_DAMP);
      if (kFault != 0u) x = -x - 1.0;
    } else {
      x *= inverse_unit;
    }
    result[at + c] = x;
  }
}
