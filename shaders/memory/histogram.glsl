// Histograms in the output range: a head of eight words for each, then all counts. Declares binding 2. Include after
// declaring BINS, SIGNED and a push block with count_word.
#ifndef NIB_MEMORY_HISTOGRAM_GLSL
#define NIB_MEMORY_HISTOGRAM_GLSL

#include "memory/counts.glsl"

const uint kSide = SIGNED ? BINS / 2u : BINS;
const uint kMostExponent = 254u;

uint nibHeadWord(uint index) {
  return 8u * index + push.head.delta2;
}

uint nibCountWord(uint index) {
  return push.count_word + index * (2u * BINS) + push.head.delta2;
}

uint nibExponentOf(uint index) {
  return min(histograms[nibHeadWord(index)], kMostExponent);
}

#endif
