#version 450
// Products of int8 codes through shared memory. A workgroup makes 64 output channels of 8 * TOKENS tokens. Every step
// loads DEPTH * 16 columns of both to shared memory, as signed bytes with zeros after the last column. Then each of the
// 16 x 8 invocations adds the products of four neighbouring channels and of TOKENS tokens at a distance of eight. Reads
// a weights code (1 byte, or half a byte of 4-bit weights) once per 8 * TOKENS tokens and an input code (1 byte) once
// per 64 channels, writes every result (1 to 4 bytes) once. SMOOTH: GELU or SiLU in floats, with an error bound instead
// of exact bytes.
#extension GL_GOOGLE_include_directive : require
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

// Words k..k+3 of a row, zeros after its last word.
uvec4 sixteenWeights(uint row, uint k) { return k < nibQuadWords() ? nibWeightFour(row, k) : uvec4(0u); }

uvec4 sixteenInputs(uint row, uint k) {
  if (k >= nibQuadWords()) return uvec4(0u);
  if (VEC) return nibInputWords(row, k);
  uint last = nibQuadWords() - 1u;
  uvec4 at = min(k + uvec4(0u, 1u, 2u, 3u), uvec4(last));
  uvec4 words = uvec4(nibInputWord(row, at.x), nibInputWord(row, at.y), nibInputWord(row, at.z),
                      nibInputWord(row, at.w));
  return mix(uvec4(0u), words, lessThanEqual(k + uvec4(0u, 1u, 2u, 3u), uvec4(last)));
}

int dotFour(uvec4 a, uvec4 b) { return (nibDot(a.x, b.x) + nibDot(a.y, b.y)) + (nibDot(a.z, b.z) + nibDot(a.w, b.w)); }

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

  clearResults();
  clearSums();
  uint segment = 0u;
  for (uint k = 0u; k < nibQuadWords(); k += DEPTH * 4u) {
    for (uint i = gl_LocalInvocationIndex; i < NIB_TILE_ROWS * DEPTH; i += WG) {
      // Neighbouring invocations load neighbouring memory of a row.
      uint d = i % DEPTH, r = i / DEPTH;
      uint at = (matrix * push.rows + min(tile_row + r, push.rows - 1u)) * push.w_row_words;
      staged_weights[(d * 4u + (r & 3u)) * 16u + (r >> 2)] = sixteenWeights(at, k + d * 4u);
    }
    for (uint i = gl_LocalInvocationIndex; i < NIB_TILE_TOKENS * DEPTH; i += WG) {
      uint d = i % DEPTH, t = i / DEPTH;
      uint at = nibInputRow(matrix * push.tokens + min(tile_token + t, push.head.rows - 1u));
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
    if (end != push.cols && (!GROUPED || end - segment != push.segment)) continue;
    count = end - segment;
    scaleSegment(rows, matrix, token, segment);
    if (GROUPED) {
      clearSums();
      segment = end;
    }
  }
  if (row < push.rows) storeTokens(matrix, token, row);
}
