// Integer sums of an int8 product in an invocation that owns four output channels of TOKENS tokens, at most eight: the
// state in registers, the end of a segment and the end of a tile.
#ifndef NIB_PRODUCTS_INT8_SUMS_GLSL
#define NIB_PRODUCTS_INT8_SUMS_GLSL

#include "memory/int8_codes.glsl"
#include "products/int8_epilogue.glsl"

// Distance between an invocation's tokens.
#ifndef NIB_TOKEN_STEP
#define NIB_TOKEN_STEP 1u
#endif

#define NIB_EACH_TOKEN(X) X(0u) X(1u) X(2u) X(3u) X(4u) X(5u) X(6u) X(7u)

uvec4 w_row;      // first word of each weights row
uint x_row[8];    // and of each token
ivec4 sums[8];    // by token, of four channels
ivec4 w_codes;    // sums of codes alone, for zero points
int x_codes[8];
uvec4 y[8];       // results so far, by token, of four channels
uint count;       // codes summed

NIB_SELECT(ivec4, sumOf, sums)
NIB_SELECT(uvec4, resultOf, y)

void clearSums() {
#define NIB_CLEAR(j) sums[j] = ivec4(0), x_codes[j] = 0;
  NIB_EACH_TOKEN(NIB_CLEAR)
  w_codes = ivec4(0);
  count = 0u;
}

void clearResults() {
#define NIB_START(j) y[j] = uvec4(0u);
  NIB_EACH_TOKEN(NIB_START)
}

void addWeights(uvec4 w) {
  if (X_ASYM) {
    w_codes += ivec4(nibDot(w.x, kNibOnes), nibDot(w.y, kNibOnes), nibDot(w.z, kNibOnes), nibDot(w.w, kNibOnes));
  }
}

ivec4 corrected(ivec4 sum, int x_codes_of, int x_zero, ivec4 w_zero) {
  if (X_ASYM) sum -= x_zero * w_codes;
  if (W_ASYM) sum -= w_zero * x_codes_of;
  if (W_ASYM && X_ASYM) sum += w_zero * (x_zero * int(count));
  return sum;
}

// Row of the inputs of an invocation's token j, counted through all matrices. Tokens after the last repeat it.
#define NIB_TOKEN_OF(j) (matrix * push.tokens + min(token + NIB_TOKEN_STEP * (j), push.head.rows - 1u))

// rows: the four weights rows, counted through all matrices.
void beginTile(uvec4 rows, uint matrix, uint token) {
  w_row = rows * push.w_row_words;
#define NIB_INPUT_ROW(j) x_row[j] = nibInputRow(NIB_TOKEN_OF(j));
  NIB_EACH_TOKEN(NIB_INPUT_ROW)
}

// Corrects the sums of the segment that begins at column `first` by zero points, scales them and adds them to the
// results.
void scaleSegment(uvec4 rows, uint matrix, uint token, uint first) {
  ivec4 w_zero = nibWeightZeros(rows, first);
  uvec4 w_scale = RESULT_TYPE == NIB_RESULT_I32 ? uvec4(0u) : nibWeightScales(rows, first);
#define NIB_SCALE(j)                                                         \
  if (TOKENS > j) {                                                          \
    uint index = nibInputIndex(NIB_TOKEN_OF(j), first);                      \
    sums[j] = corrected(sums[j], x_codes[j], nibInputZero(index), w_zero);   \
    if (RESULT_TYPE != NIB_RESULT_I32) {                                     \
      uvec4 scaled = nibScaleSums(sums[j], nibInputScale(index), w_scale);   \
      y[j] = GROUPED ? nibAddBits(y[j], scaled) : scaled;                    \
    }                                                                        \
  }
  NIB_EACH_TOKEN(NIB_SCALE)
}

void storeTokens(uint matrix, uint token, uint row) {
  for (uint j = 0u; j < TOKENS && token + NIB_TOKEN_STEP * j < push.head.rows; ++j) {
    nibFinishQuad(matrix, token + NIB_TOKEN_STEP * j, row, sumOf(j), resultOf(j));
  }
}

#endif
