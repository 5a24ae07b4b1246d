#version 450
// The application's own work before and after nibble's: mode 0 makes weights, mode 1 finds the largest error of the
// dequantized weights. One invocation per element.
layout(local_size_x = 64) in;

layout(set = 0, binding = 0) buffer Weights { float weights[]; };
layout(set = 0, binding = 1) readonly buffer Back { float back[]; };
layout(set = 0, binding = 2) buffer Worst { uint worst; };
layout(push_constant) uniform Push {
  uint mode;
  uint count;
};

void main() {
  uint i = gl_GlobalInvocationID.x;
  if (i >= count) return;
  if (mode == 0u) {
    // Weights from a hash of the index; multiples of 2^-10 are exact.
    uint h = i * 2654435761u;
    h ^= h >> 15;
    weights[i] = float(int(h & 2047u) - 1024) * 0.0009765625;
  } else {
    // The bits of non-negative floats order like integers.
    atomicMax(worst, floatBitsToUint(abs(weights[i] - back[i])));
  }
}
