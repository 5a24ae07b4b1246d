#include "model/mixed/weighted_error.h"

#include <algorithm>
#include <vector>

namespace nib::model {

double weightedError(const TimedDevice& device, const HessianSum& hessian, std::span<const float> difference,
                     uint32_t rows) {
  constexpr uint64_t kSlabBytes = 16u << 20;
  const uint32_t cols = hessian.cols();
  const auto most = uint32_t(std::clamp<uint64_t>(kSlabBytes / sizeof(float) / cols, 1, rows));
  NibMatmulDesc desc{NIB_OP_MATMUL, sizeof(NibMatmulDesc)};
  desc.rows = desc.cols = cols;
  desc.tokens = most;
  desc.input_type = desc.result_type = NIB_TYPE_F32;
  desc.weights.scale_type = NIB_TYPE_F32;
  const kit::Plan plan(device.untimed(), desc);
  const kit::Buffer input(device.untimed(), plan.sizeBytes(NIB_ROLE_INPUT));
  const kit::Buffer output(device.untimed(), plan.sizeBytes(NIB_ROLE_OUTPUT));
  const kit::Buffer scratch(device.untimed(), std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
  const kit::Range matrix(hessian.buffer(), 0, plan.sizeBytes(NIB_ROLE_WEIGHTS));
  const kit::Binding binding(plan, {.weights = matrix, .input = input, .output = output, .aux = scratch});
  std::vector<float> diagonal(cols), product(size_t(most) * cols);
  device.download(hessian.buffer(), hessian.diagonalOffset(), diagonal.data(), diagonal.size() * sizeof(float));
  double sum = 0;
  for (uint32_t row = 0; row < rows; row += most) {
    const uint32_t count = std::min(most, rows - row);
    const std::span<const float> slab = difference.subspan(size_t(row) * cols, size_t(count) * cols);
    device.upload(input, 0, slab.data(), slab.size_bytes());
    device.run(binding, count);
    device.download(output, 0, product.data(), slab.size_bytes());
    // The matrix is the lower triangle L of H: d^T H d = 2 d^T L d - sum of diagonal d^2.
    for (size_t i = 0; i < slab.size(); ++i) {
      const double d = slab[i];
      sum += d * (2 * double(product[i]) - double(diagonal[i % cols]) * d);
    }
  }
  return sum / double(std::max<uint64_t>(1, hessian.tokens()));
}

}  // namespace nib::model
