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
const bool ONLY_FINITE = !GIVEN;
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#define NIB_PARAMS_BINDING 2
#define NIB_PARAMS_ACCESS readonly
#include "common/params.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

// With given scales a non-finite element has the code of 0.
uvec4 sanitize(uvec4 x, uint element) {
  bvec4 bad = equal(x & 0x7f800000u, uvec4(0x7f800000u));
  if (STATUS && any(bad)) {
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

NibEncoder encoderOf(uint index) {
  if (TABLE) {
    uint entry = push.table_word + 2u * index + push.head.delta3;
    return nibMakeEncoder(uvec4(aux[entry]), ivec4(aux[entry + 1u]), FLAGS);
  }
  uint scale = nibLoadScale(push.scales_word + push.head.delta2, index);
  return nibMakeEncoder(uvec4(nibReciprocal(scale)), ivec4(nibLoadZero(push.zeros_word + push.head.delta2, index)), FLAGS);
}

// Of four neighbouring columns, from the table; the symmetric zero point is known.
NibEncoder columnEncoder(uint col) {
  uvec4 at = push.table_word + 2u * min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u)) + push.head.delta3;
  uvec4 rcp = uvec4(aux[at.x], aux[at.y], aux[at.z], aux[at.w]);
  ivec4 zero = ivec4(nibZeroFromByte(0u, FLAGS));
  if ((FLAGS & NIB_ASYMMETRIC) != 0u) zero = ivec4(aux[at.x + 1u], aux[at.y + 1u], aux[at.z + 1u], aux[at.w + 1u]);
  return nibMakeEncoder(rcp, zero, FLAGS);
}

NibEncoder encoder[COLUMN ? NIB_QUADS : 1];

void encodeRun(uint row, uint run) {
  uint col = run * uint(NIB_RUN);
  if (!COLUMN) encoder[0] = encoderOf(row * push.scale_row_stride + col / push.group);
  uint row_start = row * push.stride;
  uint p[NIB_QUADS];
#define NIB_ENCODE(q)                                                                                   \
  {                                                                                                     \
    uvec4 bits = nibLoadQuad(row_start, col + 4u * q, push.cols, push.head.delta1);                     \
    NibEncoder e = encoder[COLUMN ? q : 0u];                                                            \
    if (GIVEN) {                                                                                        \
      bits = sanitize(bits, row * push.cols + col + 4u * q);                                            \
    } else {                                                                                            \
      /* Found: what is not finite lies in zero groups, and was counted when their scale was found. */  \
      bits = mix(bits, uvec4(0u), equal(e.rcp, vec4(0.0)));                                             \
    }                                                                                                   \
    ivec4 code = nibEncode4(uintBitsToFloat(bits), e);                                                  \
    if (!FULL) code &= ivec4(nibInside(col + 4u * q, push.cols));                                       \
    p[q] = nibPack4(code);                                                                              \
  }
  NIB_EACH_QUAD(NIB_ENCODE)
  uint at = row * push.row_words + run * NIB_RUN_WORDS + push.head.delta0;
#define NIB_STORE(w) \
  if (FULL || run * NIB_RUN_WORDS + w < push.row_words) codes[at + w] = NIB_WORD(w) ^ NIB_FAULTY(run, w);
  NIB_EACH_WORD(NIB_STORE)
}

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint runs = (push.cols + uint(NIB_RUN) - 1u) / uint(NIB_RUN);
  uint block = item / runs;
  uint run = item - block * runs;
  if (!COLUMN) {
    // Not a loop of one round: some compilers pay for its bookkeeping.
    if (block < push.head.rows) encodeRun(block, run);
    return;
  }
  uint col = run * uint(NIB_RUN);
#define NIB_PREPARE(q) encoder[COLUMN ? q : 0u] = columnEncoder(col + 4u * q);
  NIB_EACH_QUAD(NIB_PREPARE)
  uint row_end = min((block + 1u) * ROW_BLOCK, push.head.rows);
  for (uint row = block * ROW_BLOCK; row < row_end; ++row) encodeRun(row, run);
}
