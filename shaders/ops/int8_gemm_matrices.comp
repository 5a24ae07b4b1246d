#version 450
// Products of int8 codes by cooperative matrices. A workgroup makes SGN * SPAN_N * N output channels of
// SGM * SPAN_M * M tokens: it has SGM x SGN subgroups, each with SPAN_M x SPAN_N accumulator matrices of M tokens and N
// channels. Every step loads DEPTH * K columns to shared memory, as signed bytes with zeros after the last column,
// sixteen of a row at a time, and adds up the codes that zero points need. At the end each subgroup stores its sums to
// shared memory, matrix by matrix, and finishes four channels per invocation. GROUPED: at the end of a segment its sums
// become floats, are scaled as matrices and added up; only without zero points and with SMALL_SUMS. Plain products
// serve while scales are within 2^-40..2^40; if one is not, the workgroup computes its results once more, with care.
// Reads a weights code (1 byte, or half a byte of 4-bit weights) once per SGM * SPAN_M * M tokens and an input code (1
// byte) once per SGN * SPAN_N * N channels, writes every result (1 to 4 bytes) once. SMOOTH: GELU or SiLU in floats,
// with an error bound instead of exact bytes.
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

const uint kTokens = SGM * SPAN_M * M;
const uint kRows = SGN * SPAN_N * N;
const uint kWords = DEPTH * K / 4u;  // of a row in shared memory
const uint kPitch = kWords + 4u;     // the padding keeps rows in different banks
const uint kSums = SPAN_M * SPAN_N;

// An invocation stages the same sixteen columns of every kLines-th row, and of every kLines-th token.
const uint kSixteens = kWords / 4u;
const uint kLines = WG / kSixteens;
const uint kRowsEach = (kRows + kLines - 1u) / kLines;
const uint kTokensEach = (kTokens + kLines - 1u) / kLines;

shared i8vec4 staged_input[kTokens * kPitch];
shared i8vec4 staged_weights[kRows * kPitch];
shared int stored_sums[GROUPED ? 1u : SGM * SGN * M * N];  // a matrix of each subgroup
shared float stored_results[GROUPED ? SGM * SGN * M * N : 1u];
shared int token_codes[W_ASYM ? kTokens : 1u];
shared int row_codes[X_ASYM ? kRows : 1u];
// The scales of a segment.
shared float token_scales[GROUPED ? kTokens : 1u];
shared float row_scales[GROUPED ? kRows : 1u];
shared uint far;  // a scale needs care

#define LEFT coopmat<int8_t, gl_ScopeSubgroup, M, K, gl_MatrixUseA>
#define RIGHT coopmat<int8_t, gl_ScopeSubgroup, K, N, gl_MatrixUseB>
#define SUM coopmat<int, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>
#define FLOATS coopmat<float, gl_ScopeSubgroup, M, N, gl_MatrixUseAccumulator>

// The sum of the codes of four words.
int codesOf(uint word) {
  return (nibByte0(word) + nibByte1(word)) + (nibByte2(word) + nibByte3(word));
}
int codesOf(uvec4 words) {
  return (codesOf(words.x) + codesOf(words.y)) + (codesOf(words.z) + codesOf(words.w));
}

// Places of the tile, and of the columns that this invocation stages.
uint matrix, tile_row, tile_token;
uint line, sixteen;
uint w_at[kRowsEach];    // with VEC, in units of sixteen codes
uint x_at[kTokensEach];
ivec4 x_sums[(kTokensEach + 3u) / 4u];  // sums of codes
ivec4 w_sums[(kRowsEach + 3u) / 4u];

uint weightsRow(uint i) {
  return (matrix * push.rows + min(tile_row + line + i * kLines, push.rows - 1u)) * push.w_row_words;
}
uint inputRow(uint i) {
  return nibInputRow(matrix * push.tokens + min(tile_token + line + i * kLines, push.head.rows - 1u));
}

void putWeights(uint i, uvec4 words) {
  uint r = line + i * kLines;
  if (kRows % kLines != 0u && r >= kRows) return;
  uint at = r * kPitch + sixteen * 4u;
  staged_weights[at] = unpack8(int(words.x));
  staged_weights[at + 1u] = unpack8(int(words.y));
  staged_weights[at + 2u] = unpack8(int(words.z));
  staged_weights[at + 3u] = unpack8(int(words.w));
  if (X_ASYM) w_sums[i >> 2][i & 3u] += codesOf(words);
}

void putInput(uint i, uvec4 words) {
  uint t = line + i * kLines;
  if (kTokens % kLines != 0u && t >= kTokens) return;
  uint at = t * kPitch + sixteen * 4u;
  staged_input[at] = unpack8(int(words.x));
  staged_input[at + 1u] = unpack8(int(words.y));
  staged_input[at + 2u] = unpack8(int(words.z));
  staged_input[at + 3u] = unpack8(int(words.w));
  if (W_ASYM) x_sums[i >> 2][i & 3u] += codesOf(words);
}

// Words k..k+kWords-1 of the tile's rows to shared memory. All are words of whole rows.
void stage(uint k) {
  [[unroll]] for (uint i = 0u; i < kTokensEach; ++i) putInput(i, nibCenter4(input4[x_at[i] + (k >> 2)], X_CODES));
  [[unroll]] for (uint i = 0u; i < kRowsEach; ++i) {
    uint at = w_at[i] + (k >> 2);
    uvec4 words;
    if (W_CODES == 2u) {
      uvec2 nibbles = weights2[at];
      words = uvec4(nibSpreadNibbles(nibbles.x), nibSpreadNibbles(nibbles.x >> 16), nibSpreadNibbles(nibbles.y),
                    nibSpreadNibbles(nibbles.y >> 16));
    } else {
      words = nibCenter4(weights4[at], W_CODES);
    }
    putWeights(i, words);
  }
}

// Any words, zeros after a row's last.
void stageAny(uint k) {
  uint at = k + sixteen * 4u;
  uint last = nibQuadWords() - 1u;
  uvec4 words = at + uvec4(0u, 1u, 2u, 3u);
  uvec4 inside = min(words, uvec4(last));
  [[unroll]] for (uint i = 0u; i < kTokensEach; ++i) {
    uint row = inputRow(i);
    uvec4 x = uvec4(nibInputWord(row, inside.x), nibInputWord(row, inside.y), nibInputWord(row, inside.z),
                    nibInputWord(row, inside.w));
    putInput(i, mix(uvec4(0u), x, lessThanEqual(words, uvec4(last))));
  }
  [[unroll]] for (uint i = 0u; i < kRowsEach; ++i) {
    uint row = weightsRow(i);
    uvec4 w = uvec4(nibWeightWord(row, inside.x), nibWeightWord(row, inside.y), nibWeightWord(row, inside.z),
                    nibWeightWord(row, inside.w));
    putWeights(i, mix(uvec4(0u), w, lessThanEqual(words, uvec4(last))));
  }
}

// Scales of the segment that begins at column `first`.
void stageScales(uint first) {
  bool needs_care = false;
  for (uint t = gl_LocalInvocationIndex; t < kTokens; t += WG) {
    uint row = matrix * push.tokens + min(tile_token + t, push.head.rows - 1u);
    uint scale = nibInputScale(nibInputIndex(row, first));
    needs_care = needs_care || (scale != 0u && scale - 0x2b800000u > 0x28000000u);
    token_scales[t] = uintBitsToFloat(scale);
  }
  for (uint r = gl_LocalInvocationIndex; r < kRows; r += WG) {
    uint row = matrix * push.rows + min(tile_row + r, push.rows - 1u);
    uint scale = nibWeightScale(row * push.w_scale_stride + first / push.w_group);
    needs_care = needs_care || (scale != 0u && scale - 0x2b800000u > 0x28000000u);
    row_scales[r] = uintBitsToFloat(scale);
  }
  // Halves always are within the range.
  if ((W_SCALE != NIB_F16 || X_SCALE != NIB_F16) && needs_care) atomicOr(far, 1u);
}

// Finishes four neighbouring channels of a token. in_token, in_row: the position in the tile.
void finish(uint token, uint row, uint in_token, uint in_row, ivec4 sum) {
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

// Results of four channels of a token, for scales of any size.
uvec4 carefulResults(uint token, uint row) {
  uvec4 rows = matrix * push.rows + nibQuadRows(row);
  uvec4 w_row = rows * push.w_row_words;
  uint x_index = matrix * push.tokens + token;
  uint x_row = nibInputRow(x_index);
  uvec4 y = uvec4(0u);
  for (uint first = 0u; first < push.cols; first += push.segment) {
    ivec4 sum = ivec4(0);
    uint end = (min(first + push.segment, push.cols) + 3u) >> 2;
    for (uint k = first >> 2; k < end; ++k) {
      uint x = nibInputWord(x_row, k);
      sum += ivec4(nibDot(nibWeightWord(w_row.x, k), x), nibDot(nibWeightWord(w_row.y, k), x),
                   nibDot(nibWeightWord(w_row.z, k), x), nibDot(nibWeightWord(w_row.w, k), x));
    }
    y = nibAddBits(y, nibScaleSums(sum, nibInputScale(nibInputIndex(x_index, first)), nibWeightScales(rows, first)));
  }
  return y;
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, kTokens);
  matrix = tile.matrix;
  tile_row = tile.row_block * kRows;
  tile_token = tile.first_token;
  line = gl_LocalInvocationIndex / kSixteens;
  sixteen = gl_LocalInvocationIndex % kSixteens;
  uint left_of = gl_SubgroupID % SGM * SPAN_M * M;  // of this subgroup, in the tile
  uint right_of = gl_SubgroupID / SGM * SPAN_N * N;

  if (W_ASYM) {
    for (uint i = gl_LocalInvocationIndex; i < kTokens; i += WG) token_codes[i] = 0;
    [[unroll]] for (uint i = 0u; i < (kTokensEach + 3u) / 4u; ++i) x_sums[i] = ivec4(0);
  }
  if (X_ASYM) {
    for (uint i = gl_LocalInvocationIndex; i < kRows; i += WG) row_codes[i] = 0;
    [[unroll]] for (uint i = 0u; i < (kRowsEach + 3u) / 4u; ++i) w_sums[i] = ivec4(0);
  }
  if (GROUPED && gl_LocalInvocationIndex == 0u) far = 0u;
  const uint weights_four = W_CODES == 2u ? 2u : 4u;  // words of sixteen codes
  [[unroll]] for (uint i = 0u; i < kRowsEach; ++i) {
    w_at[i] = (weightsRow(i) + push.head.delta0) / weights_four + sixteen;
  }
  [[unroll]] for (uint i = 0u; i < kTokensEach; ++i) x_at[i] = ((inputRow(i) + push.head.delta1) >> 2) + sixteen;

  SUM sums[kSums];
  [[unroll]] for (uint i = 0u; i < kSums; ++i) sums[i] = SUM(0);
  FLOATS results[kSums];
  if (GROUPED) {
    [[unroll]] for (uint i = 0u; i < kSums; ++i) results[i] = FLOATS(0.0);
  }
  uint segment = 0u;
  for (uint k = 0u; k < nibQuadWords(); k += kWords) {
    barrier();  // readers of the step before are done
    if (GROUPED && k * 4u == segment) stageScales(segment);
    if (VEC && (WHOLE || k + kWords < nibQuadWords())) {
      stage(k);
    } else {
      stageAny(k);
    }
    barrier();
    [[unroll]] for (uint d = 0u; d < DEPTH; ++d) {
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
    if (!GROUPED) continue;
    uint end = min((k + kWords) * 4u, push.cols);
    if (end != push.cols && end - segment != push.segment) continue;
    segment = end;
    // With a stride of 0 every row, or column, of a matrix of scales is the same.
    [[unroll]] for (uint m = 0u; m < SPAN_M; ++m) {
      FLOATS x_scale;
      coopMatLoad(x_scale, token_scales, left_of + m * M, 0u, gl_CooperativeMatrixLayoutColumnMajor);
      [[unroll]] for (uint n = 0u; n < SPAN_N; ++n) {
        FLOATS w_scale;
        coopMatLoad(w_scale, row_scales, right_of + n * N, 0u, gl_CooperativeMatrixLayoutRowMajor);
        const uint i = m * SPAN_N + n;
        // Element by element: some compilers forget that operations on matrices are precise.
        FLOATS sum = FLOATS(sums[i]), result = results[i];
        [[unroll]] for (int e = 0; e < sum.length(); ++e) {
          precise float first = sum[e] * x_scale[e];
          precise float second = first * w_scale[e];
          precise float total = result[e] + second;
          result[e] = total;
        }
        results[i] = result;
        sums[i] = SUM(0);
      }
    }
  }
  if (W_ASYM) {
    [[unroll]] for (uint i = 0u; i < kTokensEach; ++i) {
      if (line + i * kLines < kTokens) atomicAdd(token_codes[line + i * kLines], x_sums[i >> 2][i & 3u]);
    }
  }
  if (X_ASYM) {
    [[unroll]] for (uint i = 0u; i < kRowsEach; ++i) {
      if (line + i * kLines < kRows) atomicAdd(row_codes[line + i * kLines], w_sums[i >> 2][i & 3u]);
    }
  }
  if (W_ASYM || X_ASYM) barrier();
  if (GROUPED && far != 0u) {
    for (uint i = gl_LocalInvocationIndex; i < kTokens * kRows / 4u; i += WG) {
      uint token = tile_token + i / (kRows / 4u), row = tile_row + i % (kRows / 4u) * 4u;
      if (token < push.head.rows && row < push.rows) {
        nibFinishQuad(matrix, token, row, ivec4(0), carefulResults(token, row));
      }
    }
    return;
  }
  // One loop over all matrices keeps one copy of the epilogue. Comparing with a constant avoids a variable index of
  // `sums`.
  uint patch_start = gl_SubgroupID * M * N;
  for (uint stored = 0u; stored < kSums; ++stored) {
    subgroupMemoryBarrierShared();
    subgroupBarrier();
    [[unroll]] for (uint i = 0u; i < kSums; ++i) {
      if (i != stored) continue;
      if (GROUPED) {
        coopMatStore(results[i], stored_results, patch_start, N, gl_CooperativeMatrixLayoutRowMajor);
      } else {
        coopMatStore(sums[i], stored_sums, patch_start, N, gl_CooperativeMatrixLayoutRowMajor);
      }
    }
    subgroupMemoryBarrierShared();
    subgroupBarrier();
    uint m = stored / SPAN_N, n = stored % SPAN_N;
    for (uint i = gl_SubgroupInvocationID; i < M * N / 4u; i += WG / (SGM * SGN)) {
      uint at = i * 4u, from = patch_start + at;
      uint in_token = left_of + m * M + at / N;
      uint in_row = right_of + n * N + at % N;
      uint token = tile_token + in_token, row = tile_row + in_row;
      if (token >= push.head.rows || row >= push.rows) continue;
      if (GROUPED) {
        vec4 y = vec4(stored_results[from], stored_results[from + 1u], stored_results[from + 2u],
                      stored_results[from + 3u]);
        nibFinishQuad(matrix, token, row, ivec4(0), floatBitsToUint(y));
      } else {
        ivec4 sum = ivec4(stored_sums[from], stored_sums[from + 1u], stored_sums[from + 2u], stored_sums[from + 3u]);
        finish(token, row, in_token, in_row, sum);
      }
    }
  }
}
