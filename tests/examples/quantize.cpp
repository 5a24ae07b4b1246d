// Quantizes one tensor on the best device; without a Vulkan device on the CPU, with the same bytes.
#include <nibble/kit.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

int main() {
  const uint32_t rows = 256, cols = 1024;
  std::vector<float> weights(rows * cols);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = 0.02f * static_cast<float>(i * 2654435761u % 201) - 2.0f;

  const nib::kit::Device device = nib::kit::Device::best();
  const nib::kit::Tensor tensor = nib::kit::quantize(device, weights, nib::kit::int4(rows, cols));
  const std::vector<float> back = nib::kit::dequantize(device, tensor);

  float worst = 0;
  for (size_t i = 0; i < back.size(); ++i) worst = std::max(worst, std::abs(back[i] - weights[i]));
  std::printf("%s: %zu fp32 bytes -> %zu int4 bytes, largest error %g\n", device.info().name.c_str(),
              weights.size() * sizeof(float), tensor.blob.size() * 4, worst);
  return worst < 0.2f ? 0 : 1;
}
