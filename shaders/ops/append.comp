#version 450
// Writes rows into a cache. An invocation converts a run of eight elements of a token and writes it to the row of the
// cache that the token names. Reads every element (2 or 4 bytes) once, writes every result (2 or 4 bytes) once. The
// dispatch of another window writes tokens whose row lies there; tokens whose row the cache lacks are not written.
#extension GL_GOOGLE_include_directive : require
#include "ops/append.h"
APPEND_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { AppendPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#define NIB_DENSE_RESULT
#define NIB_NONFINITE_CODES
#include "memory/dense.glsl"
#include "numerics/whole_range.glsl"
layout(set = 0, binding = 3, std430) readonly buffer Indices { uint indices[]; };

#ifdef NIB_FAULT
#define NIB_FAULTY(item) ((item) % 7u == 6u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(item) 0u
#endif

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint octets = (push.cols + 7u) >> 3;
  uint token = item / octets;
  if (token >= push.head.rows) return;
  uint row = indices[push.indices_word + token + push.head.delta3];
  if (row >= push.cache_rows || row - push.window_row >= push.window_rows) return;
  uint col = (item - token * octets) * 8u;
  uvec4 x0, x1;
  nibLoadPair(token * push.source_stride, col, push.cols, push.source_word + push.head.delta1, x0, x1);
  x0 = nibCanonicalize(x0);
  x1 = nibCanonicalize(x1);
  x0.x ^= NIB_FAULTY(item);
  uint row_start = row * push.cache_stride;
  uint delta = push.result_word + push.head.delta2;
  if (WIDE && RESULT_TYPE != NIB_F32) {
    result4[((row_start + col) >> 3) + (delta >> 2)] = uvec4(nibNarrow(x0), nibNarrow(x1));
    return;
  }
  nibStoreQuad(row_start, col, push.cols, delta, x0);
  nibStoreQuad(row_start, col + 4u, push.cols, delta, x1);
}
