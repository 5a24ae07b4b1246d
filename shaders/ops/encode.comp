#version 450
// Dense to codes with scales that exist already. An invocation owns a run of NIB_RUN columns in ROW_BLOCK rows, and the
// words of their codes. Reads every source element once, writes its code once; the reciprocal of a scale is made once
// per run and block, never per element.
#extension GL_GOOGLE_include_directive : require
#include "ops/encode.h"
ENCODE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { EncodePush push; };

#include "format.glsl"
#include "common/codes.glsl"
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS readonly
#include "common/params.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

// A non-finite element has the code of 0. With found scales its scale is 0 and it was counted when the scale was found.
uvec4 sanitize(uvec4 x, uint element) {
  bvec4 bad = equal(x & 0x7f800000u, uvec4(0x7f800000u));
  if (STATUS && GIVEN && any(bad)) {
    uint count = 0u;
    uint first = 0u;
    for (uint i = 4u; i > 0u; --i) {
      if (nibIsNonFinite(x[i - 1u])) {
        ++count;
        first = i - 1u;
      }
    }
    nibCountNonFinite(count, element + first);
  }
  return mix(x, uvec4(0u), bad);
}

// The four columns have scales of their own.
ivec4 encodeColumns(vec4 x, uint col) {
  ivec4 code;
  for (uint i = 0u; i < 4u; ++i) {
    uint entry = push.table_word + 2u * min(col + i, push.cols - 1u) + push.head.delta3;
    NibEncoder encoder = nibMakeEncoder(aux[entry], int(aux[entry + 1u]), FLAGS);
    code[i] = nibEncode4(vec4(x[i]), encoder, GIVEN).x;
  }
  return code;
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint block = item / runs;
  uint run = item - block * runs;
  uint col = run * uint(NIB_RUN);
  uint row_end = min((block + 1u) * ROW_BLOCK, push.head.rows);

  for (uint row = block * ROW_BLOCK; row < row_end; ++row) {
    NibEncoder encoder;
    if (!COLUMN) {
      uint index = row * push.scale_row_stride + col / push.group;
      uint scale = nibLoadScale(push.scales_word + push.head.delta2, index);
      encoder = nibMakeEncoder(nibReciprocal(scale), nibLoadZero(push.zeros_word + push.head.delta2, index), FLAGS);
    }
    uint row_start = row * push.stride;
    uint p[NIB_QUADS];
#define NIB_ENCODE(q)                                                                                     \
  {                                                                                                       \
    uvec4 bits = nibLoadQuad(row_start, col + 4u * q, push.cols, push.head.delta1);                       \
    vec4 x = uintBitsToFloat(sanitize(bits, row * push.cols + col + 4u * q));                             \
    ivec4 code = COLUMN ? encodeColumns(x, col + 4u * q) : nibEncode4(x, encoder, GIVEN);                 \
    if (!FULL) code &= ivec4(nibInside(col + 4u * q, push.cols));                                         \
    p[q] = nibPack4(code);                                                                                \
  }
    NIB_EACH_QUAD(NIB_ENCODE)
    uint at = row * push.row_words + run * NIB_RUN_WORDS + push.head.delta0;
#define NIB_STORE(w) \
  if (FULL || run * NIB_RUN_WORDS + w < push.row_words) codes[at + w] = NIB_WORD(w) ^ NIB_FAULTY(run, w);
    NIB_EACH_WORD(NIB_STORE)
  }
}
