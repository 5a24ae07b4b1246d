#version 450
// Computes partial sums of a dense matrix's magnitudes, as parts of the mean (numerics/mean.glsl); the extents give the
// largest magnitude. Rows mode: a workgroup adds WG * STEPS runs of 16 elements of one row to one partial, an
// invocation every WG-th run. SOLO: an invocation adds STEPS neighbouring runs to a partial of its own. Columns mode:
// an invocation adds 16 neighbouring columns of STEPS rows, one partial per column. Reads every element (2 or 4 bytes)
// once, writes 16 bytes per partial.
#extension GL_GOOGLE_include_directive : require
#include "ops/sum.h"
SUM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { SumPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "workgroup/sum.glsl"
#include "workgroup/row_chunk.glsl"
layout(set = 0, binding = 3, std430) readonly buffer Extents { uint extents[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Partials { uvec4 partials[]; };

#ifdef NIB_FAULT
#define NIB_FAULTY(index) ((index) % 5u == 4u ? 0x400000u : 0u)
#else
#define NIB_FAULTY(index) 0u
#endif

// Exponent field of the largest magnitude among a scale's elements.
uint largestOf(uint scale) {
  return extents[push.extent_word + 4u * scale + 2u + push.head.delta3] >> 23;
}

void writePartial(uint index, uvec2 sum) {
  partials[((push.partial_word + push.head.delta3) >> 2) + index] = uvec4(sum.x ^ NIB_FAULTY(index), sum.y, 0u, 0u);
}

// The sum of eight elements' parts. Elements after the row are left out.
uint partsOf(uint row_start, uint col, uint cols, uint largest) {
  uvec4 x0, x1;
  nibLoadPair(row_start, col, cols, push.head.delta1, x0, x1);
  uvec4 parts = nibMeanPart4(x0 & nibInside(col, cols) & 0x7fffffffu, uvec4(largest)) +
                nibMeanPart4(x1 & nibInside(col + 4u, cols) & 0x7fffffffu, uvec4(largest));
  return (parts.x + parts.y) + (parts.z + parts.w);
}

void sumRow(uint tile) {
  NibRowChunk c = nibRowChunk(tile);
  uint row_start = c.row * push.stride;
  uint largest = largestOf(TENSOR || !c.live ? 0u : c.row);
  uvec2 sum = uvec2(0u);
  for (uint col = c.from; col < c.end; col += SOLO ? 16u : WG * 16u) {
    uint parts = partsOf(row_start, col, c.cols, largest) + partsOf(row_start, col + 8u, c.cols, largest);
    sum = nibWideAdd(sum, parts, 0u);
  }
  if (!SOLO) sum = nibTeamSum(sum, 0u, WG);
  if (SOLO ? c.live : gl_LocalInvocationIndex == 0u) writePartial(c.index, sum);
}

// Sums of four neighbouring columns: a sum of up to 256 rows fits a word.
struct Columns {
  uvec4 largest;
  uvec4 sum;
};

Columns columnsFrom(uint col) {
  uvec4 at = min(col + uvec4(0u, 1u, 2u, 3u), uvec4(push.cols - 1u));
  return Columns(uvec4(largestOf(at.x), largestOf(at.y), largestOf(at.z), largestOf(at.w)), uvec4(0u));
}

void addEight(inout Columns first, inout Columns second, uint row_start, uint col) {
  uvec4 x0, x1;
  nibLoadPair(row_start, col, push.cols, push.head.delta1, x0, x1);
  first.sum += nibMeanPart4(x0 & 0x7fffffffu, first.largest);
  second.sum += nibMeanPart4(x1 & 0x7fffffffu, second.largest);
}

// Writes the partials of up to four columns.
void writeQuad(uint index, uint count, uvec4 sum) {
  writePartial(index, uvec2(sum.x, 0u));
  if (count > 1u) writePartial(index + 1u, uvec2(sum.y, 0u));
  if (count > 2u) writePartial(index + 2u, uvec2(sum.z, 0u));
  if (count > 3u) writePartial(index + 3u, uvec2(sum.w, 0u));
}

void sumColumns(uint tile) {
  uint block = tile / push.chunks;
  uint col = ((tile - block * push.chunks) * WG + gl_LocalInvocationIndex) * 16u;
  if (col >= push.cols) return;
  // Columns after the last have no partial, so any values will do for them.
  Columns c0 = columnsFrom(col), c1 = columnsFrom(col + 4u), c2 = columnsFrom(col + 8u), c3 = columnsFrom(col + 12u);
  uint row_end = min((block + 1u) * STEPS, push.head.rows);
  for (uint row = block * STEPS; row < row_end; ++row) {
    addEight(c0, c1, row * push.stride, col);
    addEight(c2, c3, row * push.stride, col + 8u);
  }
  uint index = block * push.cols + col;
  uint left = push.cols - col;
  writeQuad(index, left, c0.sum);
  if (left > 4u) writeQuad(index + 4u, left - 4u, c1.sum);
  if (left > 8u) writeQuad(index + 8u, left - 8u, c2.sum);
  if (left > 12u) writeQuad(index + 12u, left - 12u, c3.sum);
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (COLUMNS) {
    sumColumns(tile);
  } else {
    sumRow(tile);
  }
}
