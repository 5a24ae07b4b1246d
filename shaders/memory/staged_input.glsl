// The inputs of int8 products, quantized by the workgroup itself: dense tokens at binding 1 to int8 codes in shared
// memory, one scale per token, the same bytes that quantize.comp makes. products/int8_epilogue.glsl includes this in
// place of memory/int8_input.glsl. push.x_row_words is the stride of tokens in elements here. Reads every element
// twice, the second time from the cache.
#ifndef NIB_MEMORY_STAGED_INPUT_GLSL
#define NIB_MEMORY_STAGED_INPUT_GLSL

#include "format.glsl"
#include "memory/codes.glsl"
// FULL and VEC describe the weights; dense.glsl needs those of the tokens.
#define FULL SOURCE_FULL
#define VEC SOURCE_VEC
#define WIDE SOURCE_WIDE
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#undef FULL
#undef VEC
#undef WIDE
#include "workgroup/reduce.glsl"
#include "workgroup/run_extent.glsl"

shared uvec4 staged_codes[TOKENS * RUNS];  // RUNS per token, zeros beyond the last column
shared uint staged_scales[TOKENS];
shared int staged_zeros[TOKENS];

uint nibInputWord(uint row, uint k) { return staged_codes[row + (k >> 2)][k & 3u]; }
uvec4 nibInputWords(uint row, uint k) { return staged_codes[row + (k >> 2)]; }
uint nibInputRow(uint token) { return token % TOKENS * RUNS; }
uint nibInputIndex(uint token, uint col) { return token % TOKENS; }
uint nibInputScale(uint index) { return staged_scales[index]; }
int nibInputZero(uint index) { return X_ASYM ? staged_zeros[index] : 0; }
uint nibInputParameter(uint word) { return 0u; }  // OUTLIERS is 0

// Quantizes tokens first..first + TOKENS - 1, `first` a multiple of TOKENS. Call in uniform control flow.
void nibStageInput(uint first) {
  const uint step = WG * uint(NIB_RUN);
  for (uint j = 0u; j < TOKENS; ++j) {
    uint row_start = min(first + j, push.head.rows - 1u) * push.x_row_words;
    uvec4 low = uvec4(0xffffffffu), high = uvec4(0u);
    for (uint col = gl_LocalInvocationIndex * uint(NIB_RUN); col < push.cols; col += step) {
      uvec4 x[NIB_QUADS];
      nibLoadRun(row_start, col, push.cols, push.head.delta1, x);
      nibAccumulateRun(x, X_ASYM, low, high);
    }
    NibRunExtent extent = nibRunExtent(nibWorkgroupReduce(nibExtentOf(low, high)), X_ASYM);
    NibFound found = nibFindScale(extent.min_bits, extent.max_bits, extent.absmax_bits, FLAGS, NIB_F32);
    if (gl_LocalInvocationIndex == 0u) {
      staged_scales[j] = nibRuledScale(found.stored);
      staged_zeros[j] = found.zero;
    }
    NibEncoder encoder = nibMakeEncoder(uvec4(nibReciprocal(found.bits)), ivec4(found.zero), FLAGS);
    for (uint col = gl_LocalInvocationIndex * uint(NIB_RUN); col < push.cols; col += step) {
      uvec4 x[NIB_QUADS];
      nibLoadRun(row_start, col, push.cols, push.head.delta1, x);
      uint p[NIB_QUADS];
#define NIB_STAGE(q)                                                                                      \
  {                                                                                                       \
    ivec4 code = nibEncode4(uintBitsToFloat(extent.finite ? x[q] : uvec4(0u)), encoder);                  \
    if (!SOURCE_FULL) code &= ivec4(nibInside(col + 4u * q, push.cols));                                  \
    p[q] = nibPack4(code);                                                                                \
  }
      NIB_EACH_QUAD(NIB_STAGE)
      staged_codes[j * RUNS + col / uint(NIB_RUN)] = uvec4(p[0], p[1], p[2], p[3]);
    }
  }
  barrier();
}

#endif
