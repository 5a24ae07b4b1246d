#version 450
// Finds partial extents of a dense matrix. Rows mode: a workgroup reduces WG * STEPS runs of 16 elements of one row to
// one partial, an invocation every WG-th run. SOLO: an invocation reduces STEPS neighbouring runs to a partial of its
// own. Columns mode: an invocation reduces 16 neighbouring columns of STEPS rows, one partial per column. Reads every
// element (2 or 4 bytes) once, writes 16 bytes per partial.
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
#include "memory/dense.glsl"
#include "workgroup/reduce.glsl"
#include "workgroup/extent.glsl"
#include "workgroup/row_chunk.glsl"
layout(set = 0, binding = 3, std430) buffer Aux { uint aux[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Partials { uvec4 partials[]; };
#include "memory/status.glsl"

#ifdef NIB_FAULT
#define NIB_FAULTY(index) ((index) % 5u == 4u ? 1u : 0u)
#else
#define NIB_FAULTY(index) 0u
#endif

// Extremes so far, of four columns: keys, or magnitudes in `high`. Magnitudes of 16-bit types order as they are stored,
// so only the final one is widened.
struct Kept {
  uvec4 low;
  uvec4 high;
  uvec4 bad;
};

const bool kMagnitudes = WHAT == 1u && SOURCE_TYPE != NIB_F32;

Kept nothing() {
  return Kept(uvec4(0xffffffffu), uvec4(0u), uvec4(0u));
}

void accumulate(inout Kept kept, uvec4 bits, bvec4 inside) {
  if (WHAT == 1u) {
    kept.high = max(kept.high, mix(uvec4(0u), bits & 0x7fffffffu, inside));
    return;
  }
  uvec4 key = nibKey4(bits);
  bvec4 counts = inside;
  if (WHAT == 0u) {
    bvec4 finite = lessThan(bits & 0x7fffffffu, uvec4(kNibInfinity));
    kept.bad += uvec4(inside) * uvec4(not(finite));
    counts = equal(uvec4(inside) * uvec4(finite), uvec4(1u));
  }
  kept.low = min(kept.low, mix(uvec4(0xffffffffu), key, counts));
  kept.high = max(kept.high, mix(uvec4(0u), key, counts));
}

// Extremes as keys and a count, for every WHAT.
NibReduced finish(uint low, uint high, uint bad) {
  if (kMagnitudes) high = SOURCE_TYPE == NIB_BF16 ? high << 16 : nibHalfToF32Bits(high);
  if (WHAT == 1u) return NibReduced(0x80000000u, high | 0x80000000u, high >= kNibInfinity ? 1u : 0u);
  if (WHAT == 2u) bad = high >= (kNibInfinity | 0x80000000u) || low <= 0x7fffffffu - kNibInfinity ? 1u : 0u;
  return NibReduced(low, high, bad);
}

void countNonFinite(uvec4 x, uint element) {
  uint count = 0u;
  uint first = 0u;
  for (uint i = 4u; i > 0u; --i) {
    if (nibIsBeyond(x[i - 1u])) {
      ++count;
      first = i - 1u;
    }
  }
  if (count > 0u) nibCountNonFinite(count, element + first);
}

void writePartial(uint index, NibReduced extent) {
  partials[((push.partial_word + push.head.delta3) >> 2) + index] =
      uvec4(extent.low, extent.high ^ NIB_FAULTY(index), extent.count, 0u);
}

// Writes the partials of up to four columns.
void writeQuad(uint index, uint count, Kept kept) {
  writePartial(index, finish(kept.low.x, kept.high.x, kept.bad.x));
  if (count > 1u) writePartial(index + 1u, finish(kept.low.y, kept.high.y, kept.bad.y));
  if (count > 2u) writePartial(index + 2u, finish(kept.low.z, kept.high.z, kept.bad.z));
  if (count > 3u) writePartial(index + 3u, finish(kept.low.w, kept.high.w, kept.bad.w));
}

void accumulateQuad(inout Kept kept, uvec4 x, uint row, uint col, uint cols) {
  if (VEC) {
    // Elements after the row repeat some of its last ones, which changes no extreme.
    if (WHAT != 0u || col < cols) accumulate(kept, x, bvec4(true));
  } else {
    accumulate(kept, x, lessThan(col + uvec4(0u, 1u, 2u, 3u), uvec4(cols)));
  }
  if (STATUS) countNonFinite(x & nibInside(col, cols), row * cols + col);
}

// Eight elements, the first four to kept0 and the others to kept1.
void accumulatePair(inout Kept kept0, inout Kept kept1, uint row, uint row_start, uint col, uint cols) {
  if (!kMagnitudes) {
    uvec4 x0, x1;
    nibLoadPair(row_start, col, cols, push.head.delta1, x0, x1);
    accumulateQuad(kept0, x0, row, col, cols);
    accumulateQuad(kept1, x1, row, col + 4u, cols);
    return;
  }
  uvec4 words = nibLoadWords8(row_start, col, cols, push.head.delta1);
  uvec4 first = nibMagnitudes(words.xy);
  uvec4 second = nibMagnitudes(words.zw);
  kept0.high = max(kept0.high, first);
  kept1.high = max(kept1.high, second);
  if (STATUS && col < cols) countNonFinite(nibWidenMagnitudes(first), row * cols + col);
  if (STATUS && col + 4u < cols) countNonFinite(nibWidenMagnitudes(second), row * cols + col + 4u);
}

void reduceRow(uint tile) {
  NibRowChunk c = nibRowChunk(tile);
  uint row_start = c.row * push.stride;
  Kept kept = nothing(), kept1 = nothing();
#define NIB_ACCUMULATE(q) accumulatePair(kept, kept1, c.row, row_start, col + 4u * q, c.cols);
  if (SOLO) {
    // Two runs per iteration: loops are expensive where invocations are lanes of a CPU's vectors. STEPS is even.
    for (uint col = c.from; col < c.end; col += 32u) {
      NIB_ACCUMULATE(0u) NIB_ACCUMULATE(2u) NIB_ACCUMULATE(4u) NIB_ACCUMULATE(6u)
    }
  } else {
    for (uint col = c.from; col < c.end; col += WG * 16u) {
      NIB_ACCUMULATE(0u) NIB_ACCUMULATE(2u)
    }
  }
  kept = Kept(min(kept.low, kept1.low), max(kept.high, kept1.high), kept.bad + kept1.bad);
  NibReduced extent = finish(min(min(kept.low.x, kept.low.y), min(kept.low.z, kept.low.w)),
                             max(max(kept.high.x, kept.high.y), max(kept.high.z, kept.high.w)),
                             (kept.bad.x + kept.bad.y) + (kept.bad.z + kept.bad.w));
  if (!SOLO) extent = nibWorkgroupReduce(extent);
  if (SOLO ? c.live : gl_LocalInvocationIndex == 0u) writePartial(c.index, extent);
}

void reduceColumns(uint tile) {
  uint block = tile / push.chunks;
  uint col = ((tile - block * push.chunks) * WG + gl_LocalInvocationIndex) * 16u;
  if (col >= push.cols) return;
  Kept kept0 = nothing(), kept1 = nothing(), kept2 = nothing(), kept3 = nothing();
  uint row_end = min((block + 1u) * STEPS, push.head.rows);
  // Columns after the last have no partial, so any values will do for them. Two rows per iteration, as above.
  for (uint row = block * STEPS; row < row_end; row += 2u) {
    accumulatePair(kept0, kept1, row, row * push.stride, col, push.cols);
    accumulatePair(kept2, kept3, row, row * push.stride, col + 8u, push.cols);
    uint next = row + 1u;
    if (next < row_end) {
      accumulatePair(kept0, kept1, next, next * push.stride, col, push.cols);
      accumulatePair(kept2, kept3, next, next * push.stride, col + 8u, push.cols);
    }
  }
  uint index = block * push.cols + col;
  uint left = push.cols - col;
  writeQuad(index, left, kept0);
  if (left > 4u) writeQuad(index + 4u, left - 4u, kept1);
  if (left > 8u) writeQuad(index + 8u, left - 8u, kept2);
  if (left > 12u) writeQuad(index + 12u, left - 12u, kept3);
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (COLUMNS) {
    reduceColumns(tile);
  } else {
    reduceRow(tile);
  }
}
