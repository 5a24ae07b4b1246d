#version 450
// Products of int8 codes for devices whose subgroup is a CPU's vector; matmul_rows.comp does the same in floats. A
// workgroup makes 4 * WG output channels of TOKENS tokens, an invocation four of the channels. The lanes of a subgroup
// load neighbouring words of the inputs, and every lane gets each word by broadcast. Codes are multiplied as floats,
// for which CPUs have fused multiply-adds: codes are within -128..127, so sums of up to 1024 products are integers up
// to 2^24 and exact in every order. Reads a weights code (1 byte, or half a byte of 4-bit weights) once per TOKENS
// tokens and an input code (1 byte) once per 4 * subgroup size channels, writes every result (1 to 4 bytes) once.
// SMOOTH: GELU or SiLU in floats, with an error bound instead of exact bytes.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "ops/int8_gemm_rows.h"
INT8_GEMM_ROWS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NibInt8Push push; };
#include "products/int8_sums.glsl"
#include "products/tile.glsl"

const uint kExactWords = 256u;  // their sums are exact in fp32

vec4 x[TOKENS];     // four codes that this lane has loaded
vec4 part[TOKENS];  // sums, of four channels

vec4 floatsOf(uint word) { return vec4(ivec4(word << 24, word << 16, word << 8, word) >> 24); }

// Loads this lane's word of words k..k + LOAD_WORDS - 1; a word from `end` on is 0 and adds nothing.
void loadInput(uint k, uint end) {
  uint mine = k + (gl_SubgroupInvocationID & (LOAD_WORDS - 1u));
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    uint word = nibInputWord(x_row[t], min(mine, end - 1u));
    word = mine < end ? word : 0u;
    x[t] = floatsOf(word);
    if (W_ASYM) x_codes[t] += nibDot(word, kNibOnes);
  }
}

// The codes of a word of each of the four rows: a column of the words is a column of the matrix.
mat4 weightsOf(uvec4 w) {
  addWeights(w);
  return mat4(vec4(ivec4(w << 24) >> 24), vec4(ivec4(w << 16) >> 24), vec4(ivec4(w << 8) >> 24), vec4(ivec4(w) >> 24));
}

void multiply(mat4 w, vec4 codes, uint t) {
  part[t] = fma(w[0], vec4(codes.x), part[t]);
  part[t] = fma(w[1], vec4(codes.y), part[t]);
  part[t] = fma(w[2], vec4(codes.z), part[t]);
  part[t] = fma(w[3], vec4(codes.w), part[t]);
}

// A word of each of the four rows times the inputs that lane `lane` has loaded. A macro: the lane must be a constant.
#define NIB_MULTIPLY(words, lane)                                                                           \
  {                                                                                                         \
    mat4 w = weightsOf(words);                                                                              \
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) multiply(w, subgroupBroadcast(x[t], lane), t);            \
  }
// Words k..k+3 of the four rows. Segments are multiples of four words, or end with the row.
#define NIB_MULTIPLY_FOUR(k, lane)                                                              \
  {                                                                                             \
    uvec4 a = nibWeightFour(w_row.x, k), b = nibWeightFour(w_row.y, k);                         \
    uvec4 c = nibWeightFour(w_row.z, k), d = nibWeightFour(w_row.w, k);                         \
    NIB_MULTIPLY(uvec4(a.x, b.x, c.x, d.x), lane)                                               \
    NIB_MULTIPLY(uvec4(a.y, b.y, c.y, d.y), lane + 1u)                                          \
    NIB_MULTIPLY(uvec4(a.z, b.z, c.z, d.z), lane + 2u)                                          \
    NIB_MULTIPLY(uvec4(a.w, b.w, c.w, d.w), lane + 3u)                                          \
  }

// Adds the products of columns first..end_col-1.
void addColumns(uint first, uint end_col) {
  uint end = (end_col + 3u) >> 2;
  for (uint start = first >> 2; start < end; start += kExactWords) {
    uint stop = min(end, start + kExactWords);
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) part[t] = vec4(0.0);
    for (uint k = start; k < stop; k += LOAD_WORDS) {
      loadInput(k, end);
      NIB_MULTIPLY_FOUR(k, 0u)
      // With LOAD_WORDS 8, rows are multiples of eight words.
      if (LOAD_WORDS == 8u) NIB_MULTIPLY_FOUR(k + 4u, 4u)
    }
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) sums[t] += ivec4(part[t]);
  }
  count = end_col - first;
  if (!W_ASYM) return;
  // Every lane has added up the codes of its own words.
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    int own = x_codes[t];
    int of_all = subgroupBroadcast(own, 0u) + subgroupBroadcast(own, 1u) +
                 (subgroupBroadcast(own, 2u) + subgroupBroadcast(own, 3u));
    if (LOAD_WORDS == 8u) {
      of_all += subgroupBroadcast(own, 4u) + subgroupBroadcast(own, 5u) +
                (subgroupBroadcast(own, 6u) + subgroupBroadcast(own, 7u));
    }
    x_codes[t] = of_all;
  }
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, TOKENS);
  uint matrix = tile.matrix;
  uint token = tile.first_token;
  // Lanes without a row stay active too: they load inputs that others multiply.
  uint row = (tile.row_block * WG + gl_LocalInvocationIndex) * 4u;
  uvec4 rows = matrix * push.rows + nibQuadRows(row);
  beginTile(rows, matrix, token);
  clearResults();
  for (uint first = 0u; first < push.cols; first += push.segment) {
    clearSums();
    addColumns(first, GROUPED ? min(first + push.segment, push.cols) : push.cols);
    scaleSegment(rows, matrix, token, first);
    if (!GROUPED) break;
  }
  if (row < push.rows) storeTokens(matrix, token, row);
}
