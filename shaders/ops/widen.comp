#version 450
// Prepares histograms for a run's elements. A workgroup owns one histogram: it widens the histogram to the exponent
// that its own largest value and the run's need, merging pairs of bins, and adds the run to its head. Invocations take
// every WG-th bin. Reads and writes 32 bytes of head per histogram, and 8 bytes per bin if the exponent changes.
#extension GL_GOOGLE_include_directive : require
#include "ops/widen.h"
WIDEN_SPEC(NIB_SPEC_CONSTANT)
layout(push_constant, std430) uniform Push { WidenPush push; };

#include "common/fault.glsl"
#include "numerics/exact.glsl"
#include "memory/histogram.glsl"
layout(set = 0, binding = 3, std430) readonly buffer Extents { uint extents[]; };

// The word of bin k, counted from zero outwards; SIGNED: side 0 is the negative one.
uint binWord(uint count_word, uint side, uint k) {
  uint bin = !SIGNED ? k : side == 0u ? kSide - 1u - k : kSide + k;
  return count_word + 2u * bin;
}

uvec2 sum64(uvec2 a, uvec2 b) {
  uint low = a.x + b.x;
  return uvec2(low, a.y + b.y + (low < a.x ? 1u : 0u));
}

// Merges in place, WG bins per iteration. An iteration reads all its bins before it writes any, and it writes no bin
// farther from zero than those it reads, so later iterations find theirs unchanged.
void mergeBins(uint count_word, uint doublings) {
  for (uint first = 0u; first < BINS; first += WG) {
    uint q = first + gl_LocalInvocationIndex;
    uint side = q / kSide;
    uint k = q - side * kSide;
    uint end = min((k + 1u) << doublings, kSide);
    uvec2 sum = uvec2(0u);
    for (uint from = k << doublings; from < end; ++from) {
      uint word = binWord(count_word, side, from);
      sum = sum64(sum, uvec2(histograms[word], histograms[word + 1u]));
    }
    memoryBarrierBuffer();
    barrier();
    uint word = binWord(count_word, side, k);
    histograms[word] = sum.x;
    histograms[word + 1u] = sum.y;
  }
}

void writeSum64(uint word, uint more) {
  uvec2 sum = sum64(uvec2(FRESH ? 0u : histograms[word], FRESH ? 0u : histograms[word + 1u]), uvec2(more, 0u));
  histograms[word] = sum.x;
  histograms[word + 1u] = sum.y;
}

void writeHead(uint head, uint exponent, uint low, uint high, uint finite, uint bad) {
  bool first = FRESH || (histograms[head + 4u] | histograms[head + 5u]) == 0u;
  if (!first) {
    low = nibUnkey(min(nibKey(low), nibKey(histograms[head + 2u])));
    high = nibUnkey(max(nibKey(high), nibKey(histograms[head + 3u])));
  }
  histograms[head] = exponent;
  if (FRESH) histograms[head + 1u] = 0u;
  if (FRESH || finite != 0u) {
    histograms[head + 2u] = low;
    histograms[head + 3u] = high ^ kFault;
  }
  writeSum64(head + 4u, finite);
  writeSum64(head + 6u, bad);
}

void main() {
  uint index = push.head.tile_first + gl_WorkGroupID.x;
  uint extent = push.extent_word + 4u * index + push.head.delta3;
  index += push.head.first_row;  // of the result
  uint head = nibHeadWord(index);
  uint before = FRESH ? 0u : nibExponentOf(index);
  uint exponent = max(before, extents[extent + 2u] >> 23);
  uint count_word = nibCountWord(index);
  if (FRESH) {
    for (uint i = gl_LocalInvocationIndex; i < 2u * BINS; i += WG) histograms[count_word + i] = 0u;
  } else if (exponent != before) {
    mergeBins(count_word, min(exponent - before, 12u));
  }
  // All invocations have read the exponent.
  barrier();
  if (gl_LocalInvocationIndex == 0u) {
    uint bad = extents[extent + 3u];
    uint elements = push.by_rows != 0u ? push.elements * push.head.rows : push.elements;
    writeHead(head, exponent, extents[extent], extents[extent + 1u], elements - bad, bad);
  }
}
