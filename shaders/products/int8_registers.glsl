// The main function of int8_gemm.comp and dynamic_gemm.comp: products of int8 codes that go from memory straight to
// registers.
//
// A team of LANES invocations owns four output channels of TOKENS tokens, a workgroup those of its WG / LANES teams.
// The lanes of a team take every LANES-th word and add up their sums. If scales change along the row, they take every
// LANES-th segment, and lane j adds the segments of token j in ascending order.
#ifndef NIB_PRODUCTS_INT8_REGISTERS_GLSL
#define NIB_PRODUCTS_INT8_REGISTERS_GLSL

layout(push_constant, std430) uniform Push { NibInt8Push push; };
#include "products/int8_sums.glsl"
#include "products/tile.glsl"

shared ivec4 exchanged[LANES > 1u ? WG * TOKENS : 1u];

// Sums are chains, which the accumulator of a dot instruction takes.
ivec4 addDots(ivec4 sum, uvec4 w, uint x) {
  return ivec4(nibDot(w.x, x) + sum.x, nibDot(w.y, x) + sum.y, nibDot(w.z, x) + sum.z, nibDot(w.w, x) + sum.w);
}
int addCodes(int sum, uint x) { return nibDot(x, kNibOnes) + sum; }

// Adds the products of word k of each row, or of words k..k+3 with VEC.
void addWords(uint k) {
  if (VEC) {
    uvec4 a = nibWeightWords(w_row.x, k), b = nibWeightWords(w_row.y, k);
    uvec4 c = nibWeightWords(w_row.z, k), d = nibWeightWords(w_row.w, k);
    uvec4 w0 = uvec4(a.x, b.x, c.x, d.x), w1 = uvec4(a.y, b.y, c.y, d.y);
    uvec4 w2 = uvec4(a.z, b.z, c.z, d.z), w3 = uvec4(a.w, b.w, c.w, d.w);
    addWeights(w0);
    addWeights(w1);
    addWeights(w2);
    addWeights(w3);
#define NIB_ADD_FOUR(j)                                                                                  \
  if (TOKENS > j) {                                                                                      \
    uvec4 x = nibInputWords(x_row[j], k);                                                                \
    sums[j] = addDots(addDots(addDots(addDots(sums[j], w0, x.x), w1, x.y), w2, x.z), w3, x.w);           \
    if (W_ASYM) x_codes[j] = addCodes(addCodes(addCodes(addCodes(x_codes[j], x.x), x.y), x.z), x.w);     \
  }
    NIB_EACH_TOKEN(NIB_ADD_FOUR)
  } else {
    uvec4 w = uvec4(nibWeightWord(w_row.x, k), nibWeightWord(w_row.y, k), nibWeightWord(w_row.z, k),
                    nibWeightWord(w_row.w, k));
    addWeights(w);
#define NIB_ADD_ONE(j)                                   \
  if (TOKENS > j) {                                      \
    uint x = nibInputWord(x_row[j], k);                  \
    sums[j] = addDots(sums[j], w, x);                    \
    if (W_ASYM) x_codes[j] = addCodes(x_codes[j], x);    \
  }
    NIB_EACH_TOKEN(NIB_ADD_ONE)
  }
}

// Adds every `step`th word, or four words with VEC, of columns first..end-1, beginning with number `from`.
void addColumns(uint first, uint end, uint from, uint step) {
  const uint width = VEC ? 4u : 1u;
  uint last = (end + 3u) >> 2;
  for (uint k = (first >> 2) + from * width; k < last; k += step * width) {
    addWords(k);
    if (W_ASYM && X_ASYM) count += min(end - k * 4u, width * 4u);
  }
}

void main() {
  NibProductTile tile = nibProductTile(push.head.tile_first + gl_WorkGroupID.x, TOKENS);
  uint matrix = tile.matrix;
  uint token = tile.first_token;
  uint lane = gl_LocalInvocationIndex % LANES;
  uint team = gl_LocalInvocationIndex / LANES;
  uint row = (tile.row_block * (WG / LANES) + team) * 4u;
#ifdef NIB_STAGED
  nibStageInput(token);
#endif
  if (LANES == 1u && row >= push.rows) return;

  uvec4 rows = matrix * push.rows + nibQuadRows(row);
  beginTile(rows, matrix, token);

  if (LANES == 1u) {
    clearResults();
    for (uint first = 0u; first < push.cols; first += push.segment) {
      clearSums();
      addColumns(first, GROUPED ? min(first + push.segment, push.cols) : push.cols, 0u, 1u);
      scaleSegment(rows, matrix, token, first);
      if (!GROUPED) break;
    }
    storeTokens(matrix, token, row);
    return;
  }

  // Lane j finishes token j.
  bool finishes = lane < TOKENS && token + lane < push.head.rows && row < push.rows;
  uint own = matrix * push.tokens + min(token + lane, push.head.rows - 1u);
  ivec4 total = ivec4(0);
  uvec4 own_y = uvec4(0u);
  uint stride = GROUPED ? push.segment * LANES : push.cols;
  for (uint start = 0u; start < push.cols; start += stride) {
    clearSums();
    uint first = GROUPED ? start + lane * push.segment : 0u;
    if (!GROUPED) {
      addColumns(0u, push.cols, lane, LANES);
    } else if (first < push.cols) {
      addColumns(first, min(first + push.segment, push.cols), 0u, 1u);
    }
    uint inside = min(first, push.cols - 1u);
    ivec4 w_zero = nibWeightZeros(rows, inside);
#define NIB_EXCHANGE(j)                                                                            \
  if (TOKENS > j) {                                                                                \
    int x_zero = nibInputZero(nibInputIndex(NIB_TOKEN_OF(j), inside));                             \
    exchanged[(team * TOKENS + j) * LANES + lane] = corrected(sums[j], x_codes[j], x_zero, w_zero); \
  }
    NIB_EACH_TOKEN(NIB_EXCHANGE)
    barrier();
    if (finishes) {
      for (uint i = 0u; i < LANES; ++i) {
        ivec4 part = exchanged[(team * TOKENS + lane) * LANES + i];
        if (!GROUPED) {
          total += part;
          continue;
        }
        uint col = start + i * push.segment;
        if (col >= push.cols) break;
        uint x_scale = nibInputScale(nibInputIndex(own, col));
        own_y = nibAddBits(own_y, nibScaleSums(part, x_scale, nibWeightScales(rows, col)));
      }
    }
    barrier();
    if (!GROUPED) break;
  }
  if (!finishes) return;
  if (!GROUPED && RESULT_TYPE != NIB_RESULT_I32) {
    own_y = nibScaleSums(total, nibInputScale(nibInputIndex(own, 0u)), nibWeightScales(rows, 0u));
  }
  nibFinishQuad(matrix, token + lane, row, total, own_y);
}

#endif
