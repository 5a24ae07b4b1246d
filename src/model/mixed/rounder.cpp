#include "model/mixed/rounder.h"

#include "model/quantize/weight_type.h"

#include <algorithm>
#include <cstring>

namespace nib::model {
namespace {

constexpr uint64_t kSlabBytes = 32u << 20, kKeepBytes = 256u << 20;

NibConvertDesc convertDesc(uint32_t rows, uint32_t cols, NibType from, NibType to) {
  NibConvertDesc desc{NIB_OP_CONVERT, sizeof(NibConvertDesc)};
  desc.rows = rows;
  desc.cols = cols;
  desc.source_type = from;
  desc.result_type = to;
  return desc;
}

}  // namespace

Rounder::Rounder(const TimedDevice& device, const ModelView& view)
    : device_(device),
      decoder_(device, view),
      quantizer_(device, denseValues(), Activations::kNone, false, kSlabBytes, kKeepBytes) {}

std::vector<float> Rounder::values(const ModelView::Tensor& tensor) {
  const NibType type = *decoder_.typeOf(tensor);
  const auto rows = uint32_t(tensor.shape[0]), cols = uint32_t(tensor.shape[1]);
  std::vector<float> values(size_t(rows) * cols);
  const uint64_t bytes = uint64_t(rows) * cols * sizeof(float);
  const kit::Buffer wide(device_.untimed(), bytes);
  if (type == NIB_TYPE_F32) {
    decoder_.decode(tensor, 0, tensor.elements(), wide);
  } else {
    const kit::Plan plan(device_.untimed(), convertDesc(rows, cols, type, NIB_TYPE_F32));
    const kit::Buffer source(device_.untimed(), plan.sizeBytes(NIB_ROLE_INPUT));
    decoder_.decode(tensor, 0, tensor.elements(), source);
    device_.run(kit::Binding(plan, {.weights = {}, .input = source, .output = wide, .aux = {}}), rows);
  }
  device_.download(wide, 0, values.data(), bytes);
  return values;
}

std::vector<float> Rounder::rounded(const WeightSpec& weight, std::span<const float> values) {
  WeightSpec wide = weight;
  wide.source = Dtype::kF32;
  std::vector<float> result(values.size());
  const WeightSource source{NIB_TYPE_F32, 1, [&](uint64_t first, uint64_t count, const kit::Range& to) {
                              device_.upload(*to.buffer, to.offset_bytes, values.data() + first, count * sizeof(float));
                            }};
  quantizer_.quantize(wide, denseValues().parts(wide, Activations::kNone), source,
                      [&](size_t, uint64_t offset, std::span<const std::byte> bytes) {
                        std::memcpy(reinterpret_cast<std::byte*>(result.data()) + offset, bytes.data(), bytes.size());
                      });
  return result;
}

void Rounder::store(std::span<const float> values, uint32_t rows, uint32_t cols, NibType type,
                    const kit::Range& to) const {
  if (type == NIB_TYPE_F32) return device_.upload(*to.buffer, to.offset_bytes, values.data(), values.size_bytes());
  const kit::Buffer wide(device_.untimed(), values.size_bytes());
  device_.upload(wide, 0, values.data(), values.size_bytes());
  const kit::Plan plan(device_.untimed(), convertDesc(rows, cols, NIB_TYPE_F32, type));
  const kit::Range result(*to.buffer, to.offset_bytes, plan.sizeBytes(NIB_ROLE_OUTPUT));
  device_.run(kit::Binding(plan, {.weights = {}, .input = wide, .output = result, .aux = {}}), rows);
}

void Rounder::store(std::span<const float> values, const ModelView::Tensor& tensor, const kit::Range& to) const {
  store(values, uint32_t(tensor.shape[0]), uint32_t(tensor.shape[1]), *nibTypeOf(tensor.dtype), to);
}

}  // namespace nib::model
