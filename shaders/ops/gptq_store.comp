#version 450
// Packs codes of RESULT, a word each, into rows. An invocation has one word of codes. Reads 4 bytes per code and if the
// columns have an order 4 more, writes BITS bits.
#extension GL_GOOGLE_include_directive : require
#include "ops/gptq_store.h"
GPTQ_STORE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GptqStorePush push; };

#include "common/fault.glsl"
layout(set = 0, binding = 0, std430) writeonly buffer Codes { uint codes[]; };
layout(set = 0, binding = 2, std430) readonly buffer Result { uint result[]; };
layout(set = 0, binding = 3, std430) readonly buffer Aux { uint aux[]; };

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint row = item / push.row_words;
  if (row >= push.head.rows) return;
  uint first_bit = (item - row * push.row_words) * 32u;
  uint first = first_bit / BITS, end = min((first_bit + 31u) / BITS + 1u, push.cols);
  uint start = row * push.cols + push.result_word + push.head.delta2;
  uint word = 0u;
  for (uint col = first; col < end; ++col) {
    uint p = col;
    if (INVERSE) p = min(aux[push.positions_word + col + push.head.delta3], push.cols - 1u);
    uint code = result[start + p] & ((1u << BITS) - 1u);
    // The first code may begin in the word before.
    uint bit = col * BITS;
    word |= bit < first_bit ? code >> (first_bit - bit) : code << (bit - first_bit);
  }
  codes[item + push.head.delta0] = word ^ kFault;
}
