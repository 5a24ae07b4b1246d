#version 450
// Partial sums of a dense matrix's magnitudes, as parts of the mean (numerics/mean.glsl), where extents tell the largest.
// Rows mode: a workgroup sums WG * STEPS runs of 16 elements of one row up to one partial, or (SOLO) each invocation STEPS
// neighbouring runs to its own. Columns mode: an invocation takes 16 neighbouring columns of STEPS rows, one partial per
// column. Reads every element once.
#extension GL_GOOGLE_include_directive : require
#include "ops/sum.h"
SUM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { SumPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "workgroup/sum.glsl"
layout(set = 0, binding = 3, std430) readonly buffer Extents { uint extents[]; };
layout(set = 0, binding = 3, std430) writeonly buffer Partials { uvec4 partials[]; };

#ifdef NIB_FAULT
#define NIB_FAULTY(index) ((index) % 5u == 4u ? 0x400000u : 0u)
#else
#define NIB_FAULTY(index) 0u
#endif

// Exponent field of the largest magnitude of a scale's elements.
uint largestOf(uint scale) {
  return extents[push.extent_word + 4u * scale + 2u + push.head.delta3] >> 23;
}

void writePartial(uint index, uvec2 sum) {
  partials[((push.partial_word + push.head.delta3) >> 2) + index] = uvec4(sum.x ^ NIB_FAULTY(index), sum.y, 0u, 0u);
}

// Eight elements. Those beyond the row count as nothing.
uint partsOf(uint row_start, uint col, uint cols, uint largest) {
  uvec4 x0, x1;
  nibLoadPair(row_start, col, cols, push.head.delta1, x0, x1);
  uvec4 parts = nibMeanPart4(x0 & nibInside(col, cols) & 0x7fffffffu, uvec4(largest)) +
                nibMeanPart4(x1 & nibInside(col + 4u, cols) & 0x7fffffffu, uvec4(largest));
  return (parts.x + parts.y) + (parts.z + parts.w);
}

void sumRow(uint tile) {
  // SOLO: an invocation's partial; else a workgroup's.
  uint piece = SOLO ? tile * WG + gl_LocalInvocationIndex : tile;
  uint row = piece / push.chunks;
  uint chunk = piece - row * push.chunks;
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  bool live = !SOLO || (FLATTEN ? piece * STEPS * 16u < cols : row < push.head.rows);
  uint row_start = row * push.stride;
  uint largest = largestOf(TENSOR || !live ? 0u : row);
  uint chunk_size = STEPS * (SOLO ? 16u : WG * 16u);
  uint from = chunk * chunk_size + (SOLO ? 0u : gl_LocalInvocationIndex * 16u);
  uint end = live ? min(cols, (chunk + 1u) * chunk_size) : 0u;
  uvec2 sum = uvec2(0u);
  for (uint col = from; col < end; col += SOLO ? 16u : WG * 16u) {
    sum = nibWideAdd(sum, partsOf(row_start, col, cols, largest) + partsOf(row_start, col + 8u, cols, largest), 0u);
  }
  if (!SOLO) sum = nibTeamSum(sum, 0u, WG);
  if (SOLO ? live : gl_LocalInvocationIndex == 0u) writePartial(piece, sum);
}

// Sums of four neighbouring columns: those of up to 256 rows fit a word.
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

// Partials of up to four columns.
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
  // Columns beyond the last have no partial, so it does not matter what they add.
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
