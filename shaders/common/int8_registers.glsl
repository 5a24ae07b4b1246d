// Products of int8 codes, words straight from memory to registers: for devices where that is cheaper than sharing, and for
// few tokens, where there is nothing to share.
//
// An invocation, or LANES of them, owns four output channels of TOKENS tokens; a workgroup those of WG / LANES neighbouring
// fours. LANES take words in turn and add up their sums, or, where scales change along the row, take its pieces in turn:
// one of them then adds these in ascending order.
#ifndef NIBBLE_COMMON_INT8_REGISTERS_GLSL
#define NIBBLE_COMMON_INT8_REGISTERS_GLSL

layout(push_constant, std430) uniform Push { NibInt8Push push; };
#include "common/int8_codes.glsl"
#include "common/int8_epilogue.glsl"

#define NIB_EACH_TOKEN(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)

shared ivec4 exchanged[LANES > 1u ? WG * TOKENS : 1u];

uvec4 w_row;      // where the rows begin, in words
uint x_row[8];
ivec4 sums[8];    // by token, of four channels
ivec4 w_codes;    // sums of codes alone, for zero points
int x_codes[8];
uvec4 y[8];       // by token, of four channels
uint count;       // of codes summed

NIB_SELECT(ivec4, sumOf, sums)
NIB_SELECT(uvec4, resultOf, y)

void clearSums() {
#define NIB_CLEAR(j) sums[j] = ivec4(0), x_codes[j] = 0;
  NIB_EACH_TOKEN(NIB_CLEAR)
  w_codes = ivec4(0);
  count = 0u;
}

void addWeights(uvec4 w) {
  if (X_ASYM) w_codes += ivec4(nibDot(w.x, kNibOnes), nibDot(w.y, kNibOnes), nibDot(w.z, kNibOnes), nibDot(w.w, kNibOnes));
}

ivec4 productsOf(uvec4 w, uint x) { return ivec4(nibDot(w.x, x), nibDot(w.y, x), nibDot(w.z, x), nibDot(w.w, x)); }

// Words k.. of each row: one, or four with VEC.
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
#define NIB_ADD_FOUR(j)                                                                                          \
  if (TOKENS > j) {                                                                                              \
    uvec4 x = nibInputWords(x_row[j], k);                                                                        \
    sums[j] += (productsOf(w0, x.x) + productsOf(w1, x.y)) + (productsOf(w2, x.z) + productsOf(w3, x.w));        \
    if (W_ASYM) x_codes[j] += (nibDot(x.x, kNibOnes) + nibDot(x.y, kNibOnes)) + (nibDot(x.z, kNibOnes) + nibDot(x.w, kNibOnes)); \
  }
    NIB_EACH_TOKEN(NIB_ADD_FOUR)
  } else {
    uvec4 w = uvec4(nibWeightWord(w_row.x, k), nibWeightWord(w_row.y, k), nibWeightWord(w_row.z, k), nibWeightWord(w_row.w, k));
    addWeights(w);
#define NIB_ADD_ONE(j)                                   \
  if (TOKENS > j) {                                      \
    uint x = nibInputWord(x_row[j], k);                  \
    sums[j] += productsOf(w, x);                         \
    if (W_ASYM) x_codes[j] += nibDot(x, kNibOnes);       \
  }
    NIB_EACH_TOKEN(NIB_ADD_ONE)
  }
}

// Every `step`th of the words, or fours, of columns first..end-1.
void addColumns(uint first, uint end, uint from, uint step) {
  const uint width = VEC ? 4u : 1u;
  uint last = (end + 3u) >> 2;
  for (uint k = (first >> 2) + from * width; k < last; k += step * width) {
    addWords(k);
    if (W_ASYM && X_ASYM) count += min(end - k * 4u, width * 4u);
  }
}

ivec4 corrected(ivec4 sum, int x_codes_of, int x_zero, ivec4 w_zero) {
  if (X_ASYM) sum -= x_zero * w_codes;
  if (W_ASYM) sum -= w_zero * x_codes_of;
  if (W_ASYM && X_ASYM) sum += w_zero * (x_zero * int(count));
  return sum;
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  uint rest = tile / push.row_blocks;
  uint block = rest / push.batch;
  uint matrix = rest - block * push.batch;
  uint lane = gl_LocalInvocationIndex % LANES;
  uint team = gl_LocalInvocationIndex / LANES;
  uint row = ((tile - rest * push.row_blocks) * (WG / LANES) + team) * 4u;
  uint token = block * TOKENS;
#ifdef NIB_STAGED
  nibStageInput(token);
#endif
  if (LANES == 1u && row >= push.rows) return;

  uvec4 rows = matrix * push.rows + nibQuadRows(row);
  w_row = rows * push.w_row_words;
#define NIB_TOKEN_OF(j) (matrix * push.tokens + min(token + j, push.head.rows - 1u))
#define NIB_PLACE(j) x_row[j] = nibInputRow(NIB_TOKEN_OF(j));
  NIB_EACH_TOKEN(NIB_PLACE)

  if (LANES == 1u) {
#define NIB_START(j) y[j] = uvec4(0u);
    NIB_EACH_TOKEN(NIB_START)
    for (uint first = 0u; first < push.cols; first += push.piece) {
      clearSums();
      addColumns(first, GROUPED ? min(first + push.piece, push.cols) : push.cols, 0u, 1u);
      ivec4 w_zero = nibWeightZeros(rows, first);
      uvec4 w_scale = RESULT_TYPE == NIB_RESULT_I32 ? uvec4(0u) : nibWeightScales(rows, first);
#define NIB_SCALE(j)                                                                             \
  if (TOKENS > j) {                                                                              \
    uint index = nibInputIndex(NIB_TOKEN_OF(j), first);                                          \
    sums[j] = corrected(sums[j], x_codes[j], nibInputZero(index), w_zero);                       \
    if (RESULT_TYPE != NIB_RESULT_I32) {                                                         \
      uvec4 scaled = nibScaleSums(sums[j], nibInputScale(index), w_scale);                       \
      y[j] = GROUPED ? nibAddBits(y[j], scaled) : scaled;                                        \
    }                                                                                            \
  }
      NIB_EACH_TOKEN(NIB_SCALE)
      if (!GROUPED) break;
    }
    uint end = min(TOKENS, push.head.rows - token);
    for (uint j = 0u; j < end; ++j) nibFinishQuad(matrix, token + j, row, sumOf(j), resultOf(j));
    return;
  }

  // Lane j finishes token j.
  bool finishes = lane < TOKENS && token + lane < push.head.rows && row < push.rows;
  uint own = matrix * push.tokens + min(token + lane, push.head.rows - 1u);
  ivec4 total = ivec4(0);
  uvec4 own_y = uvec4(0u);
  uint stride = GROUPED ? push.piece * LANES : push.cols;
  for (uint start = 0u; start < push.cols; start += stride) {
    clearSums();
    uint first = GROUPED ? start + lane * push.piece : 0u;
    if (!GROUPED) {
      addColumns(0u, push.cols, lane, LANES);
    } else if (first < push.cols) {
      addColumns(first, min(first + push.piece, push.cols), 0u, 1u);
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
        uint col = start + i * push.piece;
        if (col >= push.cols) break;
        own_y = nibAddBits(own_y, nibScaleSums(part, nibInputScale(nibInputIndex(own, col)), nibWeightScales(rows, col)));
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
