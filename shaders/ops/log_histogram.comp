#version 450
// Counts elements in log-spaced bins of 64-bit counts, by atomic additions to them. Rows mode: a workgroup takes
// WG * STEPS runs of eight elements of one row, an invocation every WG-th run. Columns mode: an invocation takes STEPS
// elements of one column; neighbouring invocations have neighbouring columns. Zeros, which may be half of the elements,
// are counted in registers and, in rows mode, added by the workgroup together. Reads every element (2 or 4 bytes) once
// and adds to 4 bytes for each that is not zero.
#extension GL_GOOGLE_include_directive : require
#include "ops/log_histogram.h"
LOG_HISTOGRAM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { LogHistogramPush push; };

const bool FULL = false;
#include "common/fault.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "memory/counts.glsl"

const uint kSide = 254u << MANTISSA_BITS;
const uint kBins = 2u * kSide + 1u;

shared uint shared_zeros;

uint zeros = 0u;  // those that an invocation has not added yet

void countOne(uint bits, uint first_word) {
  if (nibIsBeyond(bits)) return;
  uint magnitude = bits & 0x7fffffffu;
  if (magnitude < 0x00800000u) {
    ++zeros;
    return;
  }
  uint k = (magnitude >> (23u - MANTISSA_BITS)) - (1u << MANTISSA_BITS) + 1u;
  uint bin = (bits & 0x80000000u) != 0u ? kSide - k : kSide + k;
  nibAddCount(first_word + 2u * bin, 1u);
}

void countQuad(uvec4 x, uint col, uint cols, uint first_word) {
  if (col < cols) countOne(x.x, first_word);
  if (col + 1u < cols) countOne(x.y, first_word);
  if (col + 2u < cols) countOne(x.z, first_word);
  if (col + 3u < cols) countOne(x.w, first_word);
}

void addZeros(uint count, uint first_word) {
  count += kFault;
  if (count != 0u) nibAddCount(first_word + 2u * kSide, count);
}

void countColumns(uint tile) {
  uint block = tile / push.chunks;
  uint col = (tile - block * push.chunks) * WG + gl_LocalInvocationIndex;
  if (col >= push.cols) return;
  uint first_word = col * (2u * kBins) + push.head.delta2;
  uint end = min((block + 1u) * STEPS, push.head.rows);
  for (uint row = block * STEPS; row < end; ++row) {
    countOne(nibLoadOne(row * push.stride + col, push.head.delta1), first_word);
  }
  addZeros(zeros, first_word);
}

void countRow(uint tile) {
  if (gl_LocalInvocationIndex == 0u) shared_zeros = 0u;
  barrier();
  uint row = FLATTEN ? 0u : tile / push.chunks;
  uint chunk = tile - row * push.chunks;
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  const uint kChunk = WG * 8u * STEPS;
  uint end = min(cols, (chunk + 1u) * kChunk);
  for (uint col = chunk * kChunk + gl_LocalInvocationIndex * 8u; col < end; col += WG * 8u) {
    uvec4 x0, x1;
    nibLoadPair(row * push.stride, col, cols, push.head.delta1, x0, x1);
    countQuad(x0, col, cols, push.head.delta2);
    countQuad(x1, col + 4u, cols, push.head.delta2);
  }
  if (zeros != 0u) atomicAdd(shared_zeros, zeros);
  barrier();
  if (gl_LocalInvocationIndex == 0u) addZeros(shared_zeros, push.head.delta2);
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (COLUMNS) {
    countColumns(tile);
  } else {
    countRow(tile);
  }
}
