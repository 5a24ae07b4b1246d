// The words of NibStatus at the start of the aux range (binding 3, aux[]). Only integer atomics, so the order of
// invocations does not matter.
#ifndef NIB_MEMORY_STATUS_GLSL
#define NIB_MEMORY_STATUS_GLSL

void nibCountNonFinite(uint count, uint first_element) {
  atomicAdd(aux[push.head.delta3], count);
  atomicMax(aux[push.head.delta3 + 2u], ~first_element);
}

void nibCountSaturated(uint count) {
  atomicAdd(aux[push.head.delta3 + 1u], count);
}

void nibCountSaturated() {
  nibCountSaturated(1u);
}

void nibCountOutliers(uint count) {
  if (count > 0u) atomicAdd(aux[push.head.delta3 + 3u], count);
}

#endif
