#version 450
// Counts elements into histograms. Rows mode: a workgroup counts WG * STEPS runs of eight elements of one row in shared
// memory and adds its counts to the row's (or the tensor's) histogram; an invocation takes every WG-th run. Columns
// mode: an invocation adds STEPS elements of one column to its histogram; neighbouring invocations have neighbouring
// columns. RUNS: zeros, which may be half of the elements, and stretches of one bin are counted in registers, so that
// not all invocations add to the same word. Reads every element (2 or 4 bytes) once; in rows mode reads and writes 8
// bytes per bin and tile.
#extension GL_GOOGLE_include_directive : require
#include "ops/histogram.h"
HISTOGRAM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { HistogramPush push; };

const bool FULL = false;
#include "common/fault.glsl"
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "memory/histogram.glsl"

shared uint shared_bins[SHARED];

const uint kZeroBin = SIGNED ? kSide : 0u;

// Counts that an invocation has not added to a bin yet.
uint zeros = 0u;
uint run_bin = 0u;
uint run = 0u;

// The bin of a nonzero element. exponent: of the histogram, at least that of the element.
uint binOf(uint bits, uint exponent) {
  uint magnitude = bits & 0x7fffffffu;
  uint shift = min(exponent - (magnitude >> 23) + (24u - SIDE_LOG), 31u);
  uint k = ((magnitude & 0x007fffffu) | 0x00800000u) >> shift;
  if (!SIGNED) return k;
  return (bits & 0x80000000u) != 0u ? kSide - 1u - k : kSide + k;
}

void add(uint count_word, uint bin, uint count) {
  if (count == 0u) return;
  if (COLUMNS) {
    nibAddCount(count_word + 2u * bin, count);
  } else {
    atomicAdd(shared_bins[bin], count);
  }
}

void countOne(uint bits, uint exponent, uint count_word) {
  if (!RUNS) {
    bool zero = (bits & 0x7fffffffu) < 0x00800000u;
    uint bin = zero ? kZeroBin : binOf(bits, exponent);
    if (!nibIsBeyond(bits)) add(count_word, bin, 1u);
    return;
  }
  if (nibIsBeyond(bits)) return;
  if ((bits & 0x7fffffffu) < 0x00800000u) {
    ++zeros;
    return;
  }
  uint bin = binOf(bits, exponent);
  if (bin != run_bin) {
    add(count_word, run_bin, run);
    run_bin = bin;
    run = 0u;
  }
  ++run;
}

void countQuad(uvec4 x, uint col, uint cols, uint exponent, uint count_word) {
  if (col < cols) countOne(x.x, exponent, count_word);
  if (col + 1u < cols) countOne(x.y, exponent, count_word);
  if (col + 2u < cols) countOne(x.z, exponent, count_word);
  if (col + 3u < cols) countOne(x.w, exponent, count_word);
}

void finish(uint count_word) {
  if (RUNS) add(count_word, run_bin, run);
  if (RUNS || kFault != 0u) add(count_word, kZeroBin, zeros + kFault);
}

void countColumns(uint tile) {
  uint block = tile / push.chunks;
  uint col = (tile - block * push.chunks) * WG + gl_LocalInvocationIndex;
  if (col >= push.cols) return;
  uint exponent = nibExponentOf(col);
  uint count_word = nibCountWord(col);
  uint end = min((block + 1u) * STEPS, push.head.rows);
  for (uint row = block * STEPS; row < end; ++row) {
    countOne(nibLoadOne(row * push.stride + col, push.head.delta1), exponent, count_word);
  }
  finish(count_word);
}

void countRow(uint tile) {
  for (uint bin = gl_LocalInvocationIndex; bin < BINS; bin += WG) shared_bins[bin] = 0u;
  barrier();
  uint row = FLATTEN ? 0u : tile / push.chunks;
  uint chunk = tile - row * push.chunks;
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  uint index = TENSOR ? 0u : row + push.head.first_row;
  uint exponent = nibExponentOf(index);
  const uint kChunk = WG * 8u * STEPS;
  uint end = min(cols, (chunk + 1u) * kChunk);
  for (uint col = chunk * kChunk + gl_LocalInvocationIndex * 8u; col < end; col += WG * 8u) {
    uvec4 x0, x1;
    nibLoadPair(row * push.stride, col, cols, push.head.delta1, x0, x1);
    countQuad(x0, col, cols, exponent, 0u);
    countQuad(x1, col + 4u, cols, exponent, 0u);
  }
  finish(0u);
  barrier();
  uint count_word = nibCountWord(index);
  for (uint bin = gl_LocalInvocationIndex; bin < BINS; bin += WG) {
    uint count = shared_bins[bin];
    if (count != 0u) nibAddCount(count_word + 2u * bin, count);
  }
}

void main() {
  uint tile = push.head.tile_first + gl_WorkGroupID.x;
  if (COLUMNS) {
    countColumns(tile);
  } else {
    countRow(tile);
  }
}
