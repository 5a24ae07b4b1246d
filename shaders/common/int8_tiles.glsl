// Products of int8 codes through shared memory: a workgroup owns 64 output channels of 8 * TOKENS tokens. A step stages
// DEPTH * 16 columns of both, as signed bytes with zeros where there are none; then each of 16 x 8 invocations adds the
// products of four channels (neighbours) and TOKENS tokens (eight apart).
#ifndef NIBBLE_COMMON_INT8_TILES_GLSL
#define NIBBLE_COMMON_INT8_TILES_GLSL

layout(push_constant, std430) uniform Push { NibInt8Push push; };
#include "common/int8_codes.glsl"
#include "common/int8_epilogue.glsl"

#define NIB_EACH_TOKEN(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)
#define NIB_TILE_ROWS 64u
#define NIB_TILE_TOKENS (8u * TOKENS)

// [depth][channel % 4][channel / 4]: invocations that read at the same time read neighbours.
shared uvec4 staged_weights[NIB_TILE_ROWS * DEPTH];
shared uvec4 staged_input[NIB_TILE_TOKENS * DEPTH];  // [depth][token]

uvec4 sixteenWeights(uint row, uint k) {
  if (k >= nibQuadWords()) return uvec4(0u);
  if (VEC) return nibWeightWords(row, k);
  uint last = nibQuadWords() - 1u;
  uvec4 at = min(k + uvec4(0u, 1u, 2u, 3u), uvec4(last));
  uvec4 words = uvec4(nibWeightWord(row, at.x), nibWeightWord(row, at.y), nibWeightWord(row, at.z), nibWeightWord(row, at.w));
  return mix(uvec4(0u), words, lessThanEqual(k + uvec4(0u, 1u, 2u, 3u), uvec4(last)));
}

uvec4 sixteenInputs(uint row, uint k) {
  if (k >= nibQuadWords()) return uvec4(0u);
  if (VEC) return nibInputWords(row, k);
  uint last = nibQuadWords() - 1u;
  uvec4 at = min(k + uvec4(0u, 1u, 2u, 3u), uvec4(last));
  uvec4 words = uvec4(nibInputWord(row, at.x), nibInputWord(row, at.y), nibInputWord(row, at.z), nibInputWord(row, at.w));
  return mix(uvec4(0u), words, lessThanEqual(k + uvec4(0u, 1u, 2u, 3u), uvec4(last)));
}

int dotFour(uvec4 a, uvec4 b) { return (nibDot(a.x, b.x) + nibDot(a.y, b.y)) + (nibDot(a.z, b.z) + nibDot(a.w, b.w)); }

ivec4 sums[8];
uvec4 y[8];
ivec4 w_codes;
int x_codes[8];

NIB_SELECT(ivec4, sumOf, sums)
NIB_SELECT(uvec4, resultOf, y)

void clearSums() {
#define NIB_CLEAR(j) sums[j] = ivec4(0), x_codes[j] = 0;
  NIB_EACH_TOKEN(NIB_CLEAR)
  w_codes = ivec4(0);
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint rest = tile / push.row_blocks;
  uint block = rest / push.batch;
  uint matrix = rest - block * push.batch;
  uint tile_row = (tile - rest * push.row_blocks) * NIB_TILE_ROWS;
  uint tile_token = block * NIB_TILE_TOKENS;
  uint four = gl_LocalInvocationIndex & 15u;
  uint column = gl_LocalInvocationIndex >> 4;
  uint row = tile_row + four * 4u;
  uint token = tile_token + column;
  uvec4 rows = matrix * push.rows + nibQuadRows(row);
#define NIB_TOKEN_OF(j) (matrix * push.tokens + min(token + 8u * j, push.head.rows - 1u))

#define NIB_START(j) y[j] = uvec4(0u);
  NIB_EACH_TOKEN(NIB_START)
  clearSums();
  uint piece = 0u;
  for (uint k = 0u; k < nibQuadWords(); k += DEPTH * 4u) {
    for (uint i = gl_LocalInvocationIndex; i < NIB_TILE_ROWS * DEPTH; i += WG) {
      // Neighbours load neighbouring memory of a row.
      uint d = i % DEPTH, r = i / DEPTH;
      uint at = (matrix * push.rows + min(tile_row + r, push.rows - 1u)) * push.w_row_words;
      staged_weights[(d * 4u + (r & 3u)) * 16u + (r >> 2)] = sixteenWeights(at, k + d * 4u);
    }
    for (uint i = gl_LocalInvocationIndex; i < NIB_TILE_TOKENS * DEPTH; i += WG) {
      uint d = i % DEPTH, t = i / DEPTH;
      uint at = (matrix * push.tokens + min(tile_token + t, push.head.rows - 1u)) * push.x_row_words;
      staged_input[d * NIB_TILE_TOKENS + t] = sixteenInputs(at, k + d * 4u);
    }
    barrier();
    for (uint d = 0u; d < DEPTH; ++d) {
      uvec4 w0 = staged_weights[d * 64u + four], w1 = staged_weights[d * 64u + 16u + four];
      uvec4 w2 = staged_weights[d * 64u + 32u + four], w3 = staged_weights[d * 64u + 48u + four];
      if (X_ASYM) {
        const uvec4 ones = uvec4(kNibOnes);
        w_codes += ivec4(dotFour(w0, ones), dotFour(w1, ones), dotFour(w2, ones), dotFour(w3, ones));
      }
#define NIB_ADD(j)                                                                              \
  if (TOKENS > j) {                                                                             \
    uvec4 x = staged_input[d * NIB_TILE_TOKENS + column + 8u * j];                              \
    sums[j] += ivec4(dotFour(w0, x), dotFour(w1, x), dotFour(w2, x), dotFour(w3, x));           \
    if (W_ASYM) x_codes[j] += dotFour(x, uvec4(kNibOnes));                                      \
  }
      NIB_EACH_TOKEN(NIB_ADD)
    }
    barrier();

    uint end = min((k + DEPTH * 4u) * 4u, push.cols);
    if (end != push.cols && (!GROUPED || end - piece != push.piece)) continue;
    ivec4 w_zero = nibWeightZeros(rows, piece);
    uvec4 w_scale = RESULT_TYPE == NIB_RESULT_I32 ? uvec4(0u) : nibWeightScales(rows, piece);
#define NIB_SCALE(j)                                                                                  \
  if (TOKENS > j) {                                                                                   \
    uint index = nibInputIndex(NIB_TOKEN_OF(j), piece);                                               \
    int x_zero = nibInputZero(index);                                                                 \
    if (X_ASYM) sums[j] -= x_zero * w_codes;                                                          \
    if (W_ASYM) sums[j] -= w_zero * x_codes[j];                                                       \
    if (W_ASYM && X_ASYM) sums[j] += w_zero * (x_zero * int(end - piece));                            \
    if (RESULT_TYPE != NIB_RESULT_I32) {                                                              \
      uvec4 scaled = nibScaleSums(sums[j], nibInputScale(index), w_scale);                            \
      y[j] = GROUPED ? nibAddBits(y[j], scaled) : scaled;                                             \
    }                                                                                                 \
  }
    NIB_EACH_TOKEN(NIB_SCALE)
    if (GROUPED) {
      clearSums();
      piece = end;
    }
  }
  if (row >= push.rows) return;
  for (uint j = 0u; j < TOKENS; ++j) {
    if (token + 8u * j < push.head.rows) nibFinishQuad(matrix, token + 8u * j, row, sumOf(j), resultOf(j));
  }
}

#endif
