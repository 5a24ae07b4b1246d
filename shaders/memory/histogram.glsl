// Histograms in the output range: a head of eight words for each, then all counts, each of 64 bits in two words.
// Declares binding 2. Include after declaring BINS, SIGNED and a push block with count_word.
#ifndef NIB_MEMORY_HISTOGRAM_GLSL
#define NIB_MEMORY_HISTOGRAM_GLSL

layout(set = 0, binding = 2, std430) buffer Histograms { uint histograms[]; };

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

// A carry into the high word. The number of additions that wrap does not depend on their order.
void nibAddCount(uint word, uint count) {
  uint before = atomicAdd(histograms[word], count);
  if (before > ~count) atomicAdd(histograms[word + 1u], 1u);
}

#endif
