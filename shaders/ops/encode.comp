#version 450
// Dense to codes with scales that exist already. An invocation owns a run of NIB_RUN columns in ROW_BLOCK rows, and the
// words of their codes. Reads every source element once, writes its code once; the reciprocal of a scale is made once
// per run and block, never per element.
#extension GL_GOOGLE_include_directive : require
#include "ops/encode.h"
ENCODE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { EncodePush push; };

#include "format.glsl"
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#include "common/codes.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS readonly
#include "common/params.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint block = item / runs;
  uint run = item - block * runs;
  uint col = run * uint(NIB_RUN);
  uint row_end = min((block + 1u) * ROW_BLOCK, push.head.rows);

  NibEncoder encoder[COLUMN ? NIB_RUN : 1];
  if (COLUMN) {
    for (uint i = 0u; i < uint(NIB_RUN); ++i) {
      uint entry = push.table_word + 2u * min(col + i, push.cols - 1u) + push.head.delta3;
      encoder[i] = nibMakeEncoderFromReciprocal(aux[entry], aux[entry + 1u], FLAGS);
    }
  }
  for (uint row = block * ROW_BLOCK; row < row_end; ++row) {
    if (!COLUMN) {
      uint index = row * push.scale_row_stride + col / push.group;
      uint scale = nibLoadScale(push.scales_word + push.head.delta2, index);
      encoder[0] = nibMakeEncoderFromReciprocal(nibReciprocal(scale),
                                                nibLoadZero(push.zeros_word + push.head.delta2, index), FLAGS);
    }
    uint row_start = row * push.stride;
    uint words[NIB_RUN_WORDS];
    for (uint w = 0u; w < NIB_RUN_WORDS; ++w) words[w] = 0u;
    for (uint q = 0u; q < NIB_QUADS; ++q) {
      uvec4 x = nibLoadQuad(row_start, col + 4u * q, push.cols, push.head.delta1);
      for (uint i = 0u; i < 4u; ++i) {
        uint element = 4u * q + i;
        bool bad = nibIsNonFinite(x[i]);
        // With found scales a run that holds one has scale 0 and was counted when the scale was found.
        if (STATUS && GIVEN && bad) nibCountNonFinite(1u, row * push.cols + col + element);
        uint code = nibEncode(uintBitsToFloat(bad ? 0u : x[i]), encoder[COLUMN ? element : 0u], GIVEN);
        nibPutCode(words, element, FULL || col + element < push.cols ? code : 0u);
      }
    }
    uint at = row * push.row_words + run * NIB_RUN_WORDS + push.head.delta0;
    for (uint w = 0u; w < NIB_RUN_WORDS; ++w) {
      if (FULL || run * NIB_RUN_WORDS + w < push.row_words) codes[at + w] = words[w] ^ NIB_FAULTY(run, w);
    }
  }
}
