#version 450
// Products of int8 codes by cooperative matrices. A workgroup makes 2 * SPAN_N * N output channels of 2 * SPAN_M * M
// tokens: it has 2 x 2 subgroups, each with SPAN_M x SPAN_N accumulator matrices of M tokens and N channels. Every step
// loads DEPTH * K columns to shared memory, as signed bytes with zeros after the last column, and adds up the codes
// that zero points need. At the end each subgroup stores its sums to shared memory, matrix by matrix, and the workgroup
// finishes four channels per invocation. Only for one scale per row: with groups, sums would go to shared memory for
// every group. Reads a weights code (1 byte, or half a byte of 4-bit weights) once per 2 * SPAN_M * M tokens and an
// input code (1 byte) once per 2 * SPAN_N * N channels, writes every result (1 to 4 bytes) once. SMOOTH: GELU or SiLU
// in floats, with an error bound instead of exact bytes.
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_control_flow_attributes : require
#include "ops/int8_gemm_matrices.h"
INT8_GEMM_MATRICES_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NibInt8Push push; };
#include "memory/int8_codes.glsl"
#include "products/int8_epilogue.glsl"
#include "products/tile.glsl"

const uint kTokens = 2u * SPAN_M * M;
const uint kRows = 2u * SPAN_N * N;
const uint kWords = DEPTH * K / 4u;  // of a row in shared memory
const uint kPitch = kWords + 4u;     // the padding keeps rows in different banks

shared i8vec4 staged_input[kTokens * kPitch];
shared i8vec4 staged_weights[kRows * kPitch];
shared int stored_sums[4u * M * N];  // a matrix of each subgroup
shared int token_codes[kTokens];
shared int row_codes[kRows];

#define LEFT coopmat<int8_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define RIGHT coopmat<int8_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define SUM coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>

// The sum of the codes of a word, or of four words.
int codesOf(uint word) {
  return (nibByte0(word) + nibByte1(word)) + (nibByte2(word) + nibByte3(word));
}
int codesOf(uvec4 words) {
  return (codesOf(words.x) + codesOf(words.y)) + (codesOf(words.z) + codesOf(words.w));
}

// Words k..k+kWords-1 of the tile's rows to shared memory; the functions ending in 4 are for VEC.
void stageInput(uint tile_token, uint matrix, uint k) {
  for (uint i = gl_LocalInvocationIndex; i < kTokens * kWords; i += WG) {
    uint t = i / kWords, w = i % kWords;
    uint row = nibInputRow(matrix * push.tokens + min(tile_token + t, push.head.rows - 1u));
    uint word = k + w < nibQuadWords() ? nibInputWord(row, k + w) : 0u;
    staged_input[t * kPitch + w] = unpack8(int(word));
    if (W_ASYM) atomicAdd(token_codes[t], codesOf(word));
  }
}

void stageWeights(uint tile_row, uint matrix, uint k) {
  for (uint i = gl_LocalInvocationIndex; i < kRows * kWords; i += WG) {
    uint r = i / kWords, w = i % kWords;
    uint row = (matrix * push.rows + min(tile_row + r, push.rows - 1u)) * push.w_row_words;
    uint word = k + w < nibQuadWords() ? nibWeightWord(row, k + w) : 0u;
    staged_weights[r * kPitch + w] = unpack8(int(word));
    if (X_ASYM) atomicAdd(row_codes[r], codesOf(word));
  }
}

void stageInput4(uint tile_token, uint matrix, uint k) {
  for (uint i = gl_LocalInvocationIndex; i < kTokens * kWords / 4u; i += WG) {
    uint t = i / (kWords / 4u), w = i % (kWords / 4u) * 4u;
    uint row = nibInputRow(matrix * push.tokens + min(tile_token + t, push.head.rows - 1u));
    uvec4 words = k + w < nibQuadWords() ? nibInputWords(row, k + w) : uvec4(0u);
    uint at = t * kPitch + w;
    staged_input[at] = unpack8(int(words.x));
    staged_input[at + 1u] = unpack8(int(words.y));
    staged_input[at + 2u] = unpack8(int(words.z));
    staged_input[at + 3u] = unpack8(int(words.w));
    if (W_ASYM) atomicAdd(token_codes[t], codesOf(words));
  }
}

void stageWeights4(uint tile_row, uint matrix, uint k) {
  for (uint i = gl_LocalInvocationIndex; i < kRows * kWords / 4u; i += WG) {
    uint r = i / (kWords / 4u), w = i % (kWords / 4u) * 4u;
    uint row = (matrix * push.rows + min(tile_row + r, push.rows - 1u)) * push.w_row_words;
    uvec4 words = k + w < nibQuadWords() ? nibWeightWords(row, k + w) : uvec4(0u);
    uint at = r * kPitch + w;
    staged_weights[at] = unpack8(int(words.x));
    staged_weights[at + 1u] = unpack8(int(words.y));
    staged_weights[at + 2u] = unpack8(int(words.z));
    staged_weights[at + 3u] = unpack8(int(words.w));
    if (X_ASYM) atomicAdd(row_codes[r], codesOf(words));
  }
}

// Finishes four neighbouring channels of a token. in_token, in_row: the position in the tile.
void finish(uint matrix, uint token, uint row, uint in_token, uint in_row, ivec4 sum) {
  uvec4 rows = matrix * push.rows + nibQuadRows(row);
  uint x_row = matrix * push.tokens + token;
  int x_zero = nibInputZero(nibInputIndex(x_row, 0u));
  ivec4 w_zero = nibWeightZeros(rows, 0u);
  if (X_ASYM) {
    ivec4 codes = ivec4(row_codes[in_row], row_codes[in_row + 1u], row_codes[in_row + 2u], row_codes[in_row + 3u]);
    sum -= x_zero * codes;
  }
  if (W_ASYM) sum -= w_zero * token_codes[in_token];
  if (W_ASYM && X_ASYM) sum += w_zero * (x_zero * int(push.cols));
  uvec4 y = uvec4(0u);
  if (RESULT_TYPE != NIB_RESULT_I32) {
    y = nibScaleSums(sum, nibInputScale(nibInputIndex(x_row, 0u)), nibWeightScales(rows, 0u));
  }
  nibFinishQuad(matrix, token, row, sum, y);
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, kTokens);
  uint matrix = tile.matrix;
  uint tile_row = tile.row_block * kRows;
  uint tile_token = tile.first_token;
  uint left_of = (gl_SubgroupID >> 1) * SPAN_M * M;   // of this subgroup, in the tile
  uint right_of = (gl_SubgroupID & 1u) * SPAN_N * N;

  for (uint i = gl_LocalInvocationIndex; i < kTokens; i += WG) token_codes[i] = 0;
  for (uint i = gl_LocalInvocationIndex; i < kRows; i += WG) row_codes[i] = 0;
  SUM sums[SPAN_M * SPAN_N];
  [[unroll]] for (uint i = 0u; i < SPAN_M * SPAN_N; ++i) sums[i] = SUM(0);
  barrier();
  for (uint k = 0u; k < nibQuadWords(); k += kWords) {
    if (VEC) {
      stageInput4(tile_token, matrix, k);
      stageWeights4(tile_row, matrix, k);
    } else {
      stageInput(tile_token, matrix, k);
      stageWeights(tile_row, matrix, k);
    }
    barrier();
    for (uint d = 0u; d < DEPTH; ++d) {
      LEFT left[SPAN_M];
      [[unroll]] for (uint m = 0u; m < SPAN_M; ++m) {
        coopMatLoad(left[m], staged_input, (left_of + m * M) * kPitch + d * K / 4u, kPitch,
                    gl_CooperativeMatrixLayoutRowMajor);
      }
      [[unroll]] for (uint n = 0u; n < SPAN_N; ++n) {
        RIGHT right;
        coopMatLoad(right, staged_weights, (right_of + n * N) * kPitch + d * K / 4u, kPitch,
                    gl_CooperativeMatrixLayoutColumnMajor);
        [[unroll]] for (uint m = 0u; m < SPAN_M; ++m) {
          sums[m * SPAN_N + n] = coopMatMulAdd(left[m], right, sums[m * SPAN_N + n]);
        }
      }
    }
    barrier();
  }
  // One loop over all matrices keeps one copy of the epilogue. Comparing with a constant avoids a variable index of
  // `sums`.
  for (uint stored = 0u; stored < SPAN_M * SPAN_N; ++stored) {
    [[unroll]] for (uint i = 0u; i < SPAN_M * SPAN_N; ++i) {
      if (i == stored) {
        coopMatStore(sums[i], stored_sums, gl_SubgroupID * M * N, N, gl_CooperativeMatrixLayoutRowMajor);
      }
    }
    barrier();
    uint m = stored / SPAN_N, n = stored % SPAN_N;
    for (uint i = gl_LocalInvocationIndex; i < M * N; i += WG) {
      // Four neighbouring sums of one of the four stored matrices.
      uint of = i / (M * N / 4u);
      uint at = (i % (M * N / 4u)) * 4u;
      uint in_token = (of >> 1) * SPAN_M * M + m * M + at / N;
      uint in_row = (of & 1u) * SPAN_N * N + n * N + at % N;
      uint from = of * M * N + at;
      ivec4 sum = ivec4(stored_sums[from], stored_sums[from + 1u], stored_sums[from + 2u], stored_sums[from + 3u]);
      if (tile_token + in_token < push.head.rows && tile_row + in_row < push.rows) {
        finish(matrix, tile_token + in_token, tile_row + in_row, in_token, in_row, sum);
      }
    }
    barrier();
  }
}
