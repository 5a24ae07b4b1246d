#include "model/blocks/hessian_sum.h"

namespace nib::model {
namespace {

NibHessianDesc hessianDesc(uint32_t tokens, uint32_t cols, uint32_t type, uint32_t stride) {
  NibHessianDesc desc{NIB_OP_HESSIAN, sizeof(NibHessianDesc)};
  desc.tokens = tokens;
  desc.cols = cols;
  desc.source_type = type;
  desc.source_stride = stride;
  return desc;
}

}  // namespace

HessianSum::HessianSum(const kit::Device& device, uint32_t tokens, uint32_t cols, uint32_t type, uint32_t stride,
                       const kit::Range& input)
    : cols_(cols) {
  constexpr uint64_t kAlignment = 256;
  plan_ = std::make_unique<kit::Plan>(device, hessianDesc(tokens, cols, type, stride));
  const uint64_t hessian_bytes = plan_->sizeBytes(NIB_ROLE_OUTPUT);
  diagonal_offset_ = plan_->memory().part[NIB_PART_DIAGONAL].offset_bytes;
  order_offset_ = (hessian_bytes + kAlignment - 1) / kAlignment * kAlignment;
  buffer_ = kit::Buffer(device, order_offset_ + uint64_t(cols) * sizeof(uint32_t));
  device.fill(buffer_, 0, 0, hessian_bytes);
  const kit::Range output(buffer_, 0, hessian_bytes);
  binding_ =
      std::make_unique<kit::Binding>(*plan_, kit::Ranges{.weights = {}, .input = input, .output = output, .aux = {}});
}

}  // namespace nib::model
