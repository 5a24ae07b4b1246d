// Counts of 64 bits in the output range, each in two words, low word first. Declares binding 2.
#ifndef NIB_MEMORY_COUNTS_GLSL
#define NIB_MEMORY_COUNTS_GLSL

layout(set = 0, binding = 2, std430) buffer Histograms { uint histograms[]; };

// A carry into the high word. The number of additions that wrap does not depend on their order.
void nibAddCount(uint word, uint count) {
  uint before = atomicAdd(histograms[word], count);
  if (before > ~count) atomicAdd(histograms[word + 1u], 1u);
}

#endif
