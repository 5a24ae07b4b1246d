#version 450
// Weights times many activations through shared memory. A workgroup makes BM rows of BN tokens. Every step decodes 16
// columns of the BM rows and copies the same columns of the BN tokens to shared memory, eight of a row at a time, all
// as fp32. Each invocation then adds the products of four neighbouring rows and of TN tokens, at a distance of BN / TN,
// in registers. Reads a weights code (NIB_BITS bits, or a dense element) once per BN tokens and an activation (2 or 4
// bytes) once per BM rows, writes every result (2 or 4 bytes) once.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/matmul.h"
MATMUL_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ProductPush push; };

const uint BK = 16u;
#define NIB_ACTIVATIONS
#include "products/float_product.glsl"
#include "memory/weight_run.glsl"
#include "memory/weight_quad.glsl"
#include "memory/weight_eight.glsl"

// Line by line. The extra vector makes lines begin in different banks.
const uint PITCH = BK / 4u + 1u;
shared vec4 weights[BM * PITCH];
shared vec4 activations[BN * PITCH];

// An invocation stages the same eight columns of every LINES-th row, and of every LINES-th token.
const uint EIGHTS = BK / 8u;
const uint LINES = WG / EIGHTS;
const uint ROWS = (BM + LINES - 1u) / LINES;
const uint TOKENS = (BN + LINES - 1u) / LINES;
const uint ROW_LANES = BM / 4u;
const uint TOKEN_LANES = BN / TN;

NibEightRow row_of[ROWS];
uint token_at[TOKENS];  // the first four of the invocation's columns
uint line, eight;
uint row_put[ROWS];  // where they go
uint token_put;

void putWeights(uint i, NibEight w) {
  if (BM % LINES != 0u && line + i * LINES >= BM) return;
  weights[row_put[i]] = w.low;
  weights[row_put[i] + 1u] = w.high;
}

// Four elements, by their number divided by four, and how many such fours `words` words have.
vec4 inputFour(uint four) {
  if (INPUT_TYPE == NIB_F32) return input4[four];
  return uintBitsToFloat(nibWidenWords(input2[four], INPUT_TYPE == NIB_BF16));
}
uint inputFours(uint words) { return words >> (INPUT_TYPE == NIB_F32 ? 2u : 1u); }

void putActivations(uint i, uint step, uint col) {
  if (BN % LINES != 0u && line + i * LINES >= BN) return;
  uint at = token_put + i * LINES * PITCH;
  activations[at] = FULL || col < push.cols ? inputFour(token_at[i] + step / 4u) : vec4(0.0);
  activations[at + 1u] = FULL || col + 4u < push.cols ? inputFour(token_at[i] + step / 4u + 1u) : vec4(0.0);
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, BN);
  uint tokens = push.head.rows;
  uint first_row = tile.row_block * BM;
  uint row_base = tile.matrix * push.matrix_rows;
  uint token_base = tile.matrix * push.tokens;
  uint my_rows = gl_LocalInvocationIndex % ROW_LANES;  // which four
  uint my_token = gl_LocalInvocationIndex / ROW_LANES;
  line = gl_LocalInvocationIndex / EIGHTS;
  eight = gl_LocalInvocationIndex % EIGHTS;
  [[unroll]] for (uint i = 0u; i < ROWS; ++i) {
    // Rows that lanes read at the same time are neighbours: every fourth row of the tile comes first, then those after
    // them.
    uint r = line + i * LINES;
    row_put[i] = ((r & 3u) * ROW_LANES + (r >> 2)) * PITCH + eight * 2u;
    row_of[i] = nibEightRow(row_base + min(first_row + line + i * LINES, push.matrix_rows - 1u), eight);
  }
  [[unroll]] for (uint i = 0u; i < TOKENS; ++i) {
    uint token = token_base + min(tile.first_token + line + i * LINES, tokens - 1u);
    token_at[i] = (token * push.input_stride >> 2) + inputFours(push.input_word + push.head.delta3) + eight * 2u;
  }
  token_put = line * PITCH + eight * 2u;
  uint from_rows = my_rows * PITCH, from_token = my_token * PITCH;
#ifdef NIB_VALUE_TABLE
  nibFillValues();
#endif

  vec4 sum[TN];
  [[unroll]] for (uint t = 0u; t < TN; ++t) sum[t] = vec4(0.0);

  for (uint step = 0u; step < push.cols; step += BK) {
    barrier();  // readers of the step before are done
    uint col = step + eight * 8u;
    if (FULL || step + BK <= push.cols) {
      uint group = nibEightGroup(step, eight);
      [[unroll]] for (uint i = 0u; i < ROWS; ++i) putWeights(i, nibWeightEight(row_of[i], step, eight, group));
    } else {
      for (uint i = 0u; i < ROWS; ++i) {
        uint row = row_base + min(first_row + line + i * LINES, push.matrix_rows - 1u);
        putWeights(i, nibAnyEight(row, col));
      }
    }
    [[unroll]] for (uint i = 0u; i < TOKENS; ++i) putActivations(i, step, col);
    barrier();
    [[unroll]] for (uint c = 0u; c < BK / 4u; ++c) {
      vec4 w[4];
      [[unroll]] for (uint r = 0u; r < 4u; ++r) w[r] = weights[from_rows + r * ROW_LANES * PITCH + c];
      [[unroll]] for (uint t = 0u; t < TN; ++t) {
        vec4 x = activations[from_token + t * TOKEN_LANES * PITCH + c];
        [[unroll]] for (uint k = 0u; k < 4u; ++k) sum[t] += vec4(w[0][k], w[1][k], w[2][k], w[3][k]) * x[k];
      }
    }
  }

  uint row = first_row + 4u * my_rows;
  vec4 bias = nibBiasOf(row_base + min(row + uvec4(0u, 1u, 2u, 3u), uvec4(push.matrix_rows - 1u)));
  [[unroll]] for (uint t = 0u; t < TN; ++t) {
    uint token = tile.first_token + my_token + t * TOKEN_LANES;
    if (token >= tokens) continue;
    nibStoreFour(sum[t], bias, (token_base + token) * push.result_stride, row);
  }
}
