#version 450
// Partial statistics of a dense matrix. Rows mode: a workgroup reduces WG * STEPS runs of 16 elements of one row to one
// partial, or (SOLO) each invocation reduces STEPS neighbouring runs to its own. Columns mode: an invocation takes four neighbouring columns of STEPS rows, one partial per column.
// Reads every element once.
#extension GL_GOOGLE_include_directive : require
#ifdef SUBGROUP
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "ops/reduce.h"
REDUCE_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { ReducePush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "common/dense.glsl"
#include "common/reduce.glsl"
#include "common/extent.glsl"
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
#include "common/status.glsl"

#ifdef NIB_FAULT
#define NIB_FAULTY(index) ((index) % 5u == 4u ? 1u : 0u)
#else
#define NIB_FAULTY(index) 0u
#endif

// What is kept of many values, four columns at a time: keys, or in `high` magnitudes.
struct Kept {
  uvec4 low;
  uvec4 high;
  uvec4 bad;
};

void meet(inout Kept kept, uvec4 bits, bvec4 inside) {
  if (WHAT == 1u) {
    kept.high = max(kept.high, mix(uvec4(0u), bits & 0x7fffffffu, inside));
    return;
  }
  uvec4 key = nibKey4(bits);
  bvec4 counts = inside;
  if (WHAT == 0u) {
    bvec4 finite = notEqual(bits & 0x7f800000u, uvec4(0x7f800000u));
    kept.bad += uvec4(inside) * uvec4(not(finite));
    counts = equal(uvec4(inside) * uvec4(finite), uvec4(1u));
  }
  kept.low = min(kept.low, mix(uvec4(0xffffffffu), key, counts));
  kept.high = max(kept.high, mix(uvec4(0u), key, counts));
}

// As keys and a count, whatever was kept.
NibReduced finish(uint low, uint high, uint bad) {
  if (WHAT == 1u) return NibReduced(0x80000000u, high | 0x80000000u, high >= 0x7f800000u ? 1u : 0u);
  if (WHAT == 2u) bad = high >= 0xff800000u || (low <= 0x007fffffu) ? 1u : 0u;
  return NibReduced(low, high, bad);
}

void countNonFinite(uvec4 x, uint element) {
  uint count = 0u;
  uint first = 0u;
  for (uint i = 4u; i > 0u; --i) {
    if (nibIsNonFinite(x[i - 1u])) {
      ++count;
      first = i - 1u;
    }
  }
  if (count > 0u) nibCountNonFinite(count, element + first);
}

void writePartial(uint index, NibReduced extent) {
  uint at = push.partial_word + 4u * index + push.head.delta3;
  aux[at] = extent.low;
  aux[at + 1u] = extent.high ^ NIB_FAULTY(index);
  aux[at + 2u] = extent.count;
}

void reduceRow(uint tile) {
  // SOLO: an invocation's partial; else a workgroup's.
  uint piece = SOLO ? tile * WG + gl_LocalInvocationIndex : tile;
  uint row = piece / push.chunks;
  uint chunk = piece - row * push.chunks;
  bool live = !SOLO || row < (FLATTEN ? 1u : push.head.rows);
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  uint row_start = row * push.stride;
  Kept kept = Kept(uvec4(0xffffffffu), uvec4(0u), uvec4(0u));
  uint step = SOLO ? 16u : WG * 16u;
  uint from = SOLO ? chunk * STEPS * 16u : (chunk * STEPS * WG + gl_LocalInvocationIndex) * 16u;
  uint end = live ? min(cols, SOLO ? from + STEPS * 16u : cols) : 0u;
  for (uint s = 0u, col = from; s < STEPS && col < end; ++s, col += step) {
#define NIB_MEET(q)                                                                  \
  {                                                                                  \
    uvec4 x = nibLoadQuad(row_start, col + 4u * q, cols, push.head.delta1);          \
    if (VEC) {                                                                       \
      if (WHAT != 0u || col + 4u * q < cols) meet(kept, x, bvec4(true)); /* 0 is in */ \
    } else {                                                                         \
      meet(kept, x, lessThan(col + 4u * q + uvec4(0u, 1u, 2u, 3u), uvec4(cols)));    \
    }                                                                                \
    if (STATUS) countNonFinite(x, row * cols + col + 4u * q);                        \
  }
    NIB_MEET(0u)
    NIB_MEET(1u)
    NIB_MEET(2u)
    NIB_MEET(3u)
  }
  NibReduced extent = finish(min(min(kept.low.x, kept.low.y), min(kept.low.z, kept.low.w)),
                             max(max(kept.high.x, kept.high.y), max(kept.high.z, kept.high.w)),
                             (kept.bad.x + kept.bad.y) + (kept.bad.z + kept.bad.w));
  if (!SOLO) extent = nibWorkgroupReduce(extent);
  if (SOLO ? live : gl_LocalInvocationIndex == 0u) writePartial(piece, extent);
}

void reduceColumns(uint tile) {
  uint block = tile / push.chunks;
  uint col = ((tile - block * push.chunks) * WG + gl_LocalInvocationIndex) * 4u;
  if (col >= push.cols) return;
  Kept kept = Kept(uvec4(0xffffffffu), uvec4(0u), uvec4(0u));
  uint row_end = min((block + 1u) * STEPS, push.head.rows);
  for (uint row = block * STEPS; row < row_end; ++row) {
    uvec4 x = nibLoadQuad(row * push.stride, col, push.cols, push.head.delta1);
    meet(kept, x, bvec4(true));  // columns beyond the last have no partial
    if (STATUS) countNonFinite(x, row * push.cols + col);
  }
  for (uint i = 0u; i < 4u && col + i < push.cols; ++i) {
    writePartial(block * push.cols + col + i, finish(kept.low[i], kept.high[i], kept.bad[i]));
  }
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (COLUMNS) {
    reduceColumns(tile);
  } else {
    reduceRow(tile);
  }
}
