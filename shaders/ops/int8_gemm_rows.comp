#version 450
// Products of int8 codes where a subgroup is a CPU's vector, as matmul_rows.comp has them of floats: an invocation has four
// whole rows, the lanes of a subgroup load neighbouring words of the inputs, and all take codes from them by broadcast.
// They are multiplied as floats, for which CPUs have fused instructions: a code is within -128..127, so sums of up to 1024
// products are whole numbers up to 2^24, exact however they are made.
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "ops/int8_gemm_rows.h"
INT8_GEMM_ROWS_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { NibInt8Push push; };
#include "products/int8_sums.glsl"

const uint kExactWords = 256u;

vec4 x[TOKENS];     // four codes that this lane has loaded
vec4 part[TOKENS];  // sums, of four channels

vec4 floatsOf(uint word) { return vec4(ivec4(word << 24, word << 16, word << 8, word) >> 24); }

// This lane's word of those from k on; what is behind the last is 0, and meets weights in vain.
void loadInput(uint k, uint end) {
  uint mine = k + (gl_SubgroupInvocationID & (TURN - 1u));
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    uint word = nibInputWord(x_row[t], min(mine, end - 1u));
    word = mine < end ? word : 0u;
    x[t] = floatsOf(word);
    if (W_ASYM) x_codes[t] += nibDot(word, kNibOnes);
  }
}

void multiply(vec4 w, float code, uint t) { part[t] = fma(w, vec4(code), part[t]); }

// Pieces are whole fours of words, or end with the row.

// A word of each of the four rows with that of the inputs that `lane`, a constant, has.
#define NIB_MULTIPLY(words, lane)                       \
  {                                                     \
    uvec4 w = words;                                    \
    addWeights(w);                                      \
    vec4 w0 = vec4(ivec4(w << 24) >> 24);               \
    vec4 w1 = vec4(ivec4(w << 16) >> 24);               \
    vec4 w2 = vec4(ivec4(w << 8) >> 24);                \
    vec4 w3 = vec4(ivec4(w) >> 24);                     \
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {     \
      vec4 codes = subgroupBroadcast(x[t], lane);       \
      multiply(w0, codes.x, t);                         \
      multiply(w1, codes.y, t);                         \
      multiply(w2, codes.z, t);                         \
      multiply(w3, codes.w, t);                         \
    }                                                   \
  }
#define NIB_MULTIPLY_FOUR(k, lane)                                                              \
  {                                                                                             \
    uvec4 a = nibWeightFour(w_row.x, k), b = nibWeightFour(w_row.y, k);                         \
    uvec4 c = nibWeightFour(w_row.z, k), d = nibWeightFour(w_row.w, k);                         \
    NIB_MULTIPLY(uvec4(a.x, b.x, c.x, d.x), lane)                                               \
    NIB_MULTIPLY(uvec4(a.y, b.y, c.y, d.y), lane + 1u)                                          \
    NIB_MULTIPLY(uvec4(a.z, b.z, c.z, d.z), lane + 2u)                                          \
    NIB_MULTIPLY(uvec4(a.w, b.w, c.w, d.w), lane + 3u)                                          \
  }

// Columns first..end_col-1.
void addColumns(uint first, uint end_col) {
  uint end = (end_col + 3u) >> 2;
  for (uint start = first >> 2; start < end; start += kExactWords) {
    uint stop = min(end, start + kExactWords);
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) part[t] = vec4(0.0);
    for (uint k = start; k < stop; k += TURN) {
      loadInput(k, end);
      NIB_MULTIPLY_FOUR(k, 0u)
      // Rows are whole turns of eight words where there are such.
      if (TURN == 8u) NIB_MULTIPLY_FOUR(k + 4u, 4u)
    }
    [[unroll]] for (uint t = 0u; t < TOKENS; ++t) sums[t] += ivec4(part[t]);
  }
  count = end_col - first;
  if (!W_ASYM) return;
  // Every lane has summed the codes of its own words.
  [[unroll]] for (uint t = 0u; t < TOKENS; ++t) {
    int own = x_codes[t];
    int of_all = subgroupBroadcast(own, 0u) + subgroupBroadcast(own, 1u) + (subgroupBroadcast(own, 2u) + subgroupBroadcast(own, 3u));
    if (TURN == 8u) {
      of_all += subgroupBroadcast(own, 4u) + subgroupBroadcast(own, 5u) + (subgroupBroadcast(own, 6u) + subgroupBroadcast(own, 7u));
    }
    x_codes[t] = of_all;
  }
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint rest = tile / push.row_blocks;
  uint block = rest / push.batch;
  uint matrix = rest - block * push.batch;
  // All lanes take part, those behind the last row too: they load what others multiply.
  uint row = ((tile - rest * push.row_blocks) * WG + gl_LocalInvocationIndex) * 4u;
  uint token = block * TOKENS;
  uvec4 rows = matrix * push.rows + nibQuadRows(row);
  beginTile(rows, matrix, token);
  clearResults();
  for (uint first = 0u; first < push.cols; first += push.piece) {
    clearSums();
    addColumns(first, GROUPED ? min(first + push.piece, push.cols) : push.cols);
    takePiece(rows, matrix, token, first);
    if (!GROUPED) break;
  }
  if (row < push.rows) storeTokens(matrix, token, row);
}
