#version 450
// Copies rows of a dense matrix by their numbers. An invocation converts a run of eight elements of a row. Reads and
// writes every element of the result once (2 or 4 bytes each). The dispatch of another window copies the rows that lie
// there; rows that the matrix lacks are zeros, which the first window's dispatch writes.
#extension GL_GOOGLE_include_directive : require
#include "ops/gather.h"
GATHER_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { GatherPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#define NIB_DENSE_RESULT
#define NIB_NONFINITE_CODES
#include "memory/dense.glsl"
#include "numerics/whole_range.glsl"
layout(set = 0, binding = 3, std430) readonly buffer Numbers { uint numbers[]; };

#ifdef NIB_FAULT
#define NIB_FAULTY(item) ((item) % 7u == 6u ? 0x80000000u : 0u)
#else
#define NIB_FAULTY(item) 0u
#endif

void main() {
  uint item = (push.head.tile_first + gl_WorkGroupID.x) * WG + gl_LocalInvocationIndex;
  uint octets = (push.cols + 7u) >> 3;
  uint row = item / octets;
  if (row >= push.head.rows) return;
  uint source = numbers[row + push.head.delta3];
  bool there = source < push.source_rows;
  if (!there) source = 0u;
  if (source < push.window_row || source - push.window_row >= push.window_rows) return;
  uint col = (item - row * octets) * 8u;
  uvec4 x0 = uvec4(0u), x1 = uvec4(0u);
  if (there) {
    // Counted from the window's first row, so that elements of a matrix beyond 2^32 halves have 32-bit indices.
    uint stride = SOURCE_TYPE == NIB_F32 ? push.source_words : push.source_words * 2u;
    uint delta = push.window_row * push.source_words + push.head.delta1;
    nibLoadPair((source - push.window_row) * stride, col, push.cols, delta, x0, x1);
    x0 = nibCanonicalize(x0);
    x1 = nibCanonicalize(x1);
  }
  x0.x ^= NIB_FAULTY(item);
  uint row_start = row * push.result_stride;
  uint delta = push.head.delta2;
  if (WIDE && RESULT_TYPE != NIB_F32) {
    result4[((row_start + col) >> 3) + (delta >> 2)] = uvec4(nibNarrow(x0), nibNarrow(x1));
    return;
  }
  nibStoreQuad(row_start, col, push.cols, delta, x0);
  nibStoreQuad(row_start, col + 4u, push.cols, delta, x1);
}
