#version 450
// Adds the sums that matvec.comp has made of parts of the columns, in ascending order, and finishes them. A workgroup
// owns 2 * WG results, an invocation two neighbouring output channels of a token. Reads 4 bytes per result and part,
// writes every result (2 or 4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#include "ops/matsum.h"
MATSUM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { MatsumPush push; };

#include "products/result.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Sums { float sums[]; };
layout(set = 0, binding = 1, std430) readonly buffer Bias { float biases[]; };

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint pairs = (push.matrix_rows + 1u) / 2u;
  uint line = item / pairs;
  uint row = (item - line * pairs) * 2u;
  uint token = line / push.batch;
  uint matrix = line - token * push.batch;
  if (token >= push.head.rows) return;
  uint next = min(row + 1u, push.matrix_rows - 1u);
  uint start = (matrix * push.tokens + token) * push.matrix_rows + push.head.delta0;
  vec2 sum = vec2(0.0);
  for (uint part = 0u; part < push.splits; ++part) {
    sum += vec2(sums[start + row], sums[start + next]);
    start += push.batch * push.tokens * push.matrix_rows;
  }
  vec2 bias = vec2(0.0);
  if (BIAS) {
    uint at = push.bias_word + matrix * push.matrix_rows + push.head.delta1;
    bias = vec2(biases[at + row], biases[at + next]);
  }
  nibStoreProducts(sum, bias, (matrix * push.tokens + token) * push.result_stride, row, push.matrix_rows,
                   push.head.delta2);
}
