#version 450
// Codes to dense. An invocation owns a run of NIB_RUN columns in ROW_BLOCK rows and writes their words. Reads every code
// once and one scale per run, writes every result once.
#extension GL_GOOGLE_include_directive : require
#include "ops/dequantize.h"
DEQUANTIZE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { DequantizePush push; };

#include "format.glsl"
#include "common/codes.glsl"
#define NIB_DENSE_RESULT
#include "common/dense.glsl"
#define NIB_PARAMS_BINDING 1
#define NIB_PARAMS_ACCESS readonly
#include "common/params.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Codes { uint codes[]; };

NibDecoder decoderOf(uint index) {
  return nibMakeDecoder(nibLoadScale(push.scales_word + push.head.delta1, index),
                        nibLoadZero(push.zeros_word + push.head.delta1, index));
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint block = item / runs;
  uint run = item - block * runs;
  uint col = run * uint(NIB_RUN);
  uint row_end = min((block + 1u) * ROW_BLOCK, push.head.rows);

  NibDecoder decoder[COLUMN ? NIB_RUN : 1];
  if (COLUMN) {
    for (uint i = 0u; i < uint(NIB_RUN); ++i) decoder[i] = decoderOf(min(col + i, push.cols - 1u));
  }
  for (uint row = block * ROW_BLOCK; row < row_end; ++row) {
    if (!COLUMN) decoder[0] = decoderOf(row * push.scale_row_stride + col / push.group);
    uint word[NIB_RUN_WORDS];
    uint first_word = run * NIB_RUN_WORDS;
    uint at = row * push.row_words + push.head.delta0;
#define NIB_LOAD(w) \
  word[w] = codes[at + (FULL ? first_word + w : min(first_word + w, push.row_words - 1u))] ^ NIB_FAULTY(run, w);
    NIB_EACH_WORD(NIB_LOAD)
    uint row_start = row * push.stride;
#define NIB_DECODE(q)                                                                                       \
  {                                                                                                         \
    ivec4 code = nibUnpack4(NIB_QUAD(q));                                                                   \
    uvec4 x;                                                                                                \
    if (COLUMN) {                                                                                           \
      for (uint i = 0u; i < 4u; ++i) x[i] = nibDecode4(ivec4(code[i]), decoder[COLUMN ? 4u * q + i : 0u]).x; \
    } else {                                                                                                \
      x = nibDecode4(code, decoder[0]);                                                                     \
    }                                                                                                       \
    nibStoreQuad(row_start, col + 4u * q, push.cols, push.head.delta2, x);                                  \
  }
    NIB_EACH_QUAD(NIB_DECODE)
  }
}
