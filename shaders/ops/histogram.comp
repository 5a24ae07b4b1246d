#version 450
// Counts elements into histograms. Rows mode: a workgroup counts WG * STEPS runs of eight elements of one row in shared
// memory and adds what it found to the row's (or the tensor's) histogram. Columns mode: an invocation adds STEPS elements
// of one column to its histogram; neighbours have neighbouring columns. Reads every element once. RUNS: zeros, which may be
// half of the elements, and stretches of one bin are counted in registers, or all invocations would add to one word.
#extension GL_GOOGLE_include_directive : require
#include "ops/histogram.h"
HISTOGRAM_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { HistogramPush push; };

const bool FULL = false;
#define NIB_DENSE_SOURCE
#include "memory/dense.glsl"
#include "memory/histogram.glsl"

#ifdef NIB_FAULT
const uint kFault = 1u;
#else
const uint kFault = 0u;
#endif

shared uint shared_bins[SHARED];

const uint kZeroBin = SIGNED ? kSide : 0u;

// What an invocation has not yet added.
uint zeros = 0u;
uint run_bin = 0u;
uint run = 0u;

// exponent: of the histogram, at least the element's own.
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

void meet(uint bits, uint exponent, uint count_word) {
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

void meetQuad(uvec4 x, uint col, uint cols, uint exponent, uint count_word) {
  if (col < cols) meet(x.x, exponent, count_word);
  if (col + 1u < cols) meet(x.y, exponent, count_word);
  if (col + 2u < cols) meet(x.z, exponent, count_word);
  if (col + 3u < cols) meet(x.w, exponent, count_word);
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
    meet(nibLoadOne(row * push.stride + col, push.head.delta1), exponent, count_word);
  }
  finish(count_word);
}

void countRow(uint tile) {
  for (uint bin = gl_LocalInvocationIndex; bin < BINS; bin += WG) shared_bins[bin] = 0u;
  barrier();
  uint row = FLATTEN ? 0u : tile / push.chunks;
  uint chunk = tile - row * push.chunks;
  uint cols = FLATTEN ? push.cols * push.head.rows : push.cols;
  uint index = TENSOR ? 0u : row;
  uint exponent = nibExponentOf(index);
  const uint kChunk = WG * 8u * STEPS;
  uint end = min(cols, (chunk + 1u) * kChunk);
  for (uint col = chunk * kChunk + gl_LocalInvocationIndex * 8u; col < end; col += WG * 8u) {
    uvec4 x0, x1;
    nibLoadPair(row * push.stride, col, cols, push.head.delta1, x0, x1);
    meetQuad(x0, col, cols, exponent, 0u);
    meetQuad(x1, col + 4u, cols, exponent, 0u);
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
