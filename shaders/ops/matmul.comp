#version 450
// Weights times many activations through shared memory. A workgroup makes BM rows of BN tokens. Every step decodes one
// run of columns of the BM rows and copies the same columns of the BN tokens to shared memory. Each invocation then
// adds the products of four rows and TN tokens in registers, in fp32. Reads a weights code (NIB_BITS bits, or a dense
// element) once per BN tokens and an activation (2 or 4 bytes) once per BM rows, writes every result (2 or 4 bytes)
// once. F16: fp16 activations, and weights rounded to fp16, stay halves in shared memory, which halves its size and
// traffic; sums are fp32 all the same.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef F16
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define NIB_VEC4 f16vec4
#else
#define NIB_VEC4 vec4
#endif
#include "ops/matmul.h"
MATMUL_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ProductPush push; };

#define NIB_ACTIVATIONS
#include "products/float_product.glsl"
#include "memory/weight_run.glsl"
#include "memory/weight_quad.glsl"

// Column by column: a vector has four rows, or four tokens. The extra vector makes columns begin in different banks.
const uint ROW_QUADS = BM / 4u + 1u;
const uint TOKEN_QUADS = BN / 4u + 1u;
shared NIB_VEC4 weights[uint(NIB_RUN) * ROW_QUADS];
shared NIB_VEC4 activations[uint(NIB_RUN) * TOKEN_QUADS];

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, BN);
  uint tokens = push.head.rows;
  uint first_row = tile.row_block * BM;
  uint row_base = tile.matrix * push.matrix_rows;
  uint token_base = tile.matrix * push.tokens;
  uint lane = gl_LocalInvocationIndex;
  uint my_rows = lane % (BM / 4u);    // which four rows
  uint my_tokens = lane / (BM / 4u);  // which TN tokens

  vec4 sum[TN];
  [[unroll]] for (uint t = 0u; t < TN; ++t) sum[t] = vec4(0.0);

  for (uint col = 0u; col < push.cols; col += uint(NIB_RUN)) {
    barrier();  // readers of the step before are done
    // Four rows or tokens by four columns per invocation: no two invocations write the same vector.
    for (uint i = lane; i < (BM + BN) / 4u * uint(NIB_QUADS); i += WG) {
      uint line = i / uint(NIB_QUADS);
      uint q = i - line * uint(NIB_QUADS);
      uint at = col + 4u * q;
      mat4 by_column;
      if (line < BM / 4u) {
        [[unroll]] for (uint r = 0u; r < 4u; ++r) {
          by_column[r] = nibWeightQuad(row_base + min(first_row + 4u * line + r, push.matrix_rows - 1u), at);
        }
        by_column = transpose(by_column);
        [[unroll]] for (uint c = 0u; c < 4u; ++c) weights[(4u * q + c) * ROW_QUADS + line] = NIB_VEC4(by_column[c]);
      } else {
        line -= BM / 4u;
        [[unroll]] for (uint t = 0u; t < 4u; ++t) {
          uint start = (token_base + min(tile.first_token + 4u * line + t, tokens - 1u)) * push.input_stride;
          by_column[t] = nibInputQuad(start, at, push.cols, push.input_word + push.head.delta3);
        }
        by_column = transpose(by_column);
        [[unroll]] for (uint c = 0u; c < 4u; ++c) {
          activations[(4u * q + c) * TOKEN_QUADS + line] = NIB_VEC4(by_column[c]);
        }
      }
    }
    barrier();
    for (uint c = 0u; c < uint(NIB_RUN); ++c) {
      vec4 w = vec4(weights[c * ROW_QUADS + my_rows]);
      [[unroll]] for (uint q = 0u; q < TN / 4u; ++q) {
        vec4 x = vec4(activations[c * TOKEN_QUADS + my_tokens * (TN / 4u) + q]);
        sum[4u * q] += w * x.x;
        sum[4u * q + 1u] += w * x.y;
        sum[4u * q + 2u] += w * x.z;
        sum[4u * q + 3u] += w * x.w;
      }
    }
  }

  uint row = first_row + 4u * my_rows;
  vec4 bias = nibBiasOf(row_base + min(row + uvec4(0u, 1u, 2u, 3u), uvec4(push.matrix_rows - 1u)));
  [[unroll]] for (uint t = 0u; t < TN; ++t) {
    uint token = tile.first_token + my_tokens * TN + t;
    if (token >= tokens) continue;
    nibStoreFour(sum[t], bias, (token_base + token) * push.result_stride, row);
  }
}
