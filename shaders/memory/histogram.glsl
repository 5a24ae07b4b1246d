// Histograms in the output range: heads of eight words, then 64-bit counts as two words each. Include after declaring
// BINS, SIGNED and the push block with count_word; binding 2 is theirs.
#ifndef NIBBLE_MEMORY_HISTOGRAM_GLSL
#define NIBBLE_MEMORY_HISTOGRAM_GLSL

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

// Whatever the order of the additions, as many of them pass 2^32 as the sum does.
void nibAddCount(uint word, uint count) {
  uint before = atomicAdd(histograms[word], count);
  if (before > ~count) atomicAdd(histograms[word + 1u], 1u);
}

#endif
