// The ten lines of README.md; a test compares them, and their output is checked on the best device and on the CPU.
#include <nibble/kit.h>
#include <cstdio>
int main() {
  std::vector<float> weights(256 * 1024);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.01f * (i % 201) - 1.0f;
  const nib::kit::Device device = nib::kit::Device::best();  // a GPU, or the CPU where there is none
  const nib::kit::Tensor tensor = nib::kit::quantize(device, weights, nib::kit::int4(256, 1024));
  const std::vector<float> back = nib::kit::dequantize(device, tensor);
  std::printf("%s: %zu bytes, %g is now %g\n", device.info().name.c_str(), tensor.blob.size() * 4, weights[7], back[7]);
}
