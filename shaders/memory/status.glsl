// The status words of NibStatus, at the start of the aux range. Integer atomics only: order-free.
#ifndef NIBBLE_MEMORY_STATUS_GLSL
#define NIBBLE_MEMORY_STATUS_GLSL

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
