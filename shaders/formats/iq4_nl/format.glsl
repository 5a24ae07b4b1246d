// IQ4_NL of ggml: IQ4 codes times an fp16 scale per 32 elements. Eight codes to a word, in order.
#define NIB_SIGNED_SCALES
#define NIB_BLOCK_COLS 32
#define NIB_BLOCK_SEARCH  // nibFindBlock takes an importance by column
#include "formats/iq4_decode.glsl"
#include "formats/search.glsl"

struct NibBlock {
  uint scale_half;
  uint minimum_half;  // 0
  uint saturated;
  float rcp;  // of the stored scale; 0 if that is 0
};

// Finds the scale of 32 finite elements, which `importance` weighs if `weighted`.
NibBlock nibFindBlock(uvec4 x[8], uvec4 importance[8], bool weighted) {
  uint most = 0u;
  uint largest = 0u;
#define NIB_BLOCK_MOST(q)                                                                      \
  {                                                                                            \
    uvec4 size = x[q] & 0x7fffffffu;                                                           \
    uvec4 weight = nibImportanceBits4(importance[q]);                                          \
    most = max(most, max(max(size.x, size.y), max(size.z, size.w)));                           \
    largest = max(largest, max(max(weight.x, weight.y), max(weight.z, weight.w)));             \
  }
  NIB_EACH_GROUP_QUAD(NIB_BLOCK_MOST)
  int exponent = int(most >> 23);
#define NIB_BLOCK_DIVIDE(q) nib_x[q] = uintBitsToFloat(nibMovedExponent4(x[q], 127 - exponent, 107));
  NIB_EACH_GROUP_QUAD(NIB_BLOCK_DIVIDE)
  precise float square = nibSumOfSquares() * 0.0625;
#define NIB_BLOCK_WEIGH(q)                                                  \
  {                                                                         \
    precise vec4 own = nib_x[q] * nib_x[q];                                 \
    nib_w[q] = own;                                                         \
    if (weighted) {                                                         \
      precise vec4 sum = square + own;                                      \
      precise vec4 product = nibImportanceWeight4(importance[q], largest) * nibSqrt4(sum);  \
      nib_w[q] = product;                                                   \
    }                                                                       \
  }
  NIB_EACH_GROUP_QUAD(NIB_BLOCK_WEIGH)
  NibBlock b;
  b.minimum_half = 0u;
  b.saturated = 0u;
  b.scale_half = nibHalfOfDivided(exponent == 0 ? 0.0 : nibFitGroup(weighted).scale, exponent, b.saturated);
  uint scale = nibHalfToF32Bits(b.scale_half);
  b.rcp = uintBitsToFloat(b.scale_half == 0u ? 0u : nibDivBits(0x3f800000u, scale));
  return b;
}

// Codes of finite x.
ivec4 nibEncodeBlock4(vec4 x, NibBlock b) {
  precise vec4 y = x * b.rcp;
  return nibNearestIq4Code4(y);
}
