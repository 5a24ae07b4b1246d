#version 450
// Products of int8 codes through shared memory. A workgroup makes 64 output channels of 8 * TOKENS tokens. Every step
// loads DEPTH * 16 columns of both to shared memory, as signed bytes with zeros after the last column. Then each of the
// 16 x 8 invocations adds the products of four neighbouring channels and of TOKENS tokens at a distance of eight. Reads
// a weights code (1 byte, or half a byte of 4-bit weights) once per 8 * TOKENS tokens and an input code (1 byte) once
// per 64 channels, writes every result (1 to 4 bytes) once. SMOOTH: GELU or SiLU in floats, with an error bound instead
// of exact bytes.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef DOT4
#extension GL_EXT_spirv_intrinsics : require
#endif
#include "ops/int8_gemm_tiles.h"
INT8_GEMM_TILES_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NibInt8Push push; };
#define NIB_TOKEN_STEP 8u
#include "products/int8_sums.glsl"
#include "products/tile.glsl"

#define NIB_TILE_ROWS 64u
#define NIB_TILE_TOKENS (8u * TOKENS)

// [depth][channel % 4][channel / 4]: invocations that read at the same time read neighbouring elements.
shared uvec4 staged_weights[NIB_TILE_ROWS * DEPTH];
shared uvec4 staged_input[NIB_TILE_TOKENS * DEPTH];  // [depth][token]

// An invocation stages the same words of every kLines-th row, and of every kLines-th token.
const uint kLines = WG / DEPTH;
const uint kRowsEach = (NIB_TILE_ROWS + kLines - 1u) / kLines;
const uint kTokensEach = (NIB_TILE_TOKENS + kLines - 1u) / kLines;
uint w_start[kRowsEach];  // first word of a row
uint x_start[kTokensEach];

// Words k..k+3 of a row, zeros after its last word.
uvec4 sixteenWeights(uint row, uint k) {
  return WHOLE || k < nibQuadWords() ? nibWeightFour(row, k) : uvec4(0u);
}

uvec4 sixteenInputs(uint row, uint k) {
  if (!WHOLE && k >= nibQuadWords()) return uvec4(0u);
  if (VEC) return nibInputWords(row, k);
  uint last = nibQuadWords() - 1u;
  uvec4 at = min(k + uvec4(0u, 1u, 2u, 3u), uvec4(last));
  uvec4 words = uvec4(nibInputWord(row, at.x), nibInputWord(row, at.y), nibInputWord(row, at.z),
                      nibInputWord(row, at.w));
  return mix(uvec4(0u), words, lessThanEqual(k + uvec4(0u, 1u, 2u, 3u), uvec4(last)));
}

// A chain, which the accumulator of a dot instruction takes.
int addDots(int sum, uvec4 a, uvec4 b) {
  return nibDot(a.w, b.w) + (nibDot(a.z, b.z) + (nibDot(a.y, b.y) + (nibDot(a.x, b.x) + sum)));
}

// Words k..k+4*DEPTH-1 of the tile to shared memory.
void stage(uint k) {
  uint d = gl_LocalInvocationIndex % DEPTH, line = gl_LocalInvocationIndex / DEPTH;
  [[unroll]] for (uint i = 0u; i < kRowsEach; ++i) {
    uint r = line + i * kLines;
    if (NIB_TILE_ROWS % kLines != 0u && r >= NIB_TILE_ROWS) break;
    staged_weights[(d * 4u + (r & 3u)) * 16u + (r >> 2)] = sixteenWeights(w_start[i], k + d * 4u);
  }
  [[unroll]] for (uint i = 0u; i < kTokensEach; ++i) {
    uint t = line + i * kLines;
    if (NIB_TILE_TOKENS % kLines != 0u && t >= NIB_TILE_TOKENS) break;
    staged_input[d * NIB_TILE_TOKENS + t] = sixteenInputs(x_start[i], k + d * 4u);
  }
}

void multiply(uint four, uint column) {
  for (uint d = 0u; d < DEPTH; ++d) {
    uvec4 w0 = staged_weights[d * 64u + four], w1 = staged_weights[d * 64u + 16u + four];
    uvec4 w2 = staged_weights[d * 64u + 32u + four], w3 = staged_weights[d * 64u + 48u + four];
    const uvec4 ones = uvec4(kNibOnes);
    if (X_ASYM) {
      w_codes = ivec4(addDots(w_codes.x, w0, ones), addDots(w_codes.y, w1, ones), addDots(w_codes.z, w2, ones),
                      addDots(w_codes.w, w3, ones));
    }
#define NIB_ADD(j)                                                                                    \
  if (TOKENS > j) {                                                                                   \
    uvec4 x = staged_input[d * NIB_TILE_TOKENS + column + 8u * j];                                    \
    sums[j] = ivec4(addDots(sums[j].x, w0, x), addDots(sums[j].y, w1, x), addDots(sums[j].z, w2, x),  \
                    addDots(sums[j].w, w3, x));                                                       \
    if (W_ASYM) x_codes[j] = addDots(x_codes[j], x, ones);                                            \
  }
    NIB_EACH_TOKEN(NIB_ADD)
  }
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, NIB_TILE_TOKENS);
  uint matrix = tile.matrix;
  uint tile_row = tile.row_block * NIB_TILE_ROWS;
  uint tile_token = tile.first_token;
  uint four = gl_LocalInvocationIndex & 15u;
  uint column = gl_LocalInvocationIndex >> 4;
  uint row = tile_row + four * 4u;
  uint token = tile_token + column;
  uvec4 rows = matrix * push.rows + nibQuadRows(row);
  [[unroll]] for (uint i = 0u; i < kRowsEach; ++i) {
    uint r = tile_row + gl_LocalInvocationIndex / DEPTH + i * kLines;
    w_start[i] = (matrix * push.rows + min(r, push.rows - 1u)) * push.w_row_words;
  }
  [[unroll]] for (uint i = 0u; i < kTokensEach; ++i) {
    uint t = tile_token + gl_LocalInvocationIndex / DEPTH + i * kLines;
    x_start[i] = nibInputRow(matrix * push.tokens + min(t, push.head.rows - 1u));
  }

  clearResults();
  for (uint first = 0u; first < push.cols; first += push.segment) {
    clearSums();
    count = GROUPED ? min(push.segment, push.cols - first) : push.cols;
    uint end = first + count + 3u >> 2;
    for (uint k = first >> 2; k < end; k += DEPTH * 4u) {
      stage(k);
      barrier();
      multiply(four, column);
      barrier();
    }
    scaleSegment(rows, matrix, token, first);
    if (!GROUPED) break;
  }
  if (row < push.rows) storeTokens(matrix, token, row);
}
