#include "model/transform/layer_trial.h"

#include <algorithm>

namespace nib::model {
namespace {

uint64_t aligned(uint64_t bytes) { return (bytes + 255) / 256 * 256; }

NibElementwiseDesc elementwiseDesc(NibElementwiseKind kind, const WeightSpec& spec, NibType source) {
  NibElementwiseDesc desc{NIB_OP_ELEMENTWISE, sizeof(NibElementwiseDesc)};
  desc.kind = kind;
  desc.rows = spec.rows;
  desc.cols = spec.cols;
  desc.source_type = source;
  desc.second_type = desc.result_type = NIB_TYPE_F32;
  return desc;
}

NibMomentsDesc momentsDesc(const WeightSpec& spec, NibGranularity granularity) {
  NibMomentsDesc desc{NIB_OP_MOMENTS, sizeof(NibMomentsDesc)};
  desc.rows = spec.rows;
  desc.cols = spec.cols;
  desc.source_type = NIB_TYPE_F32;
  desc.granularity = granularity;
  return desc;
}

std::vector<NibMomentTile> momentsOf(const TimedDevice& device, const WeightSpec& spec, NibGranularity granularity,
                                     const kit::Range& source) {
  const kit::Plan plan(device.untimed(), momentsDesc(spec, granularity));
  const kit::Buffer output(device.untimed(), plan.sizeBytes(NIB_ROLE_OUTPUT));
  const kit::Buffer scratch(device.untimed(), std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
  device.run(kit::Binding(plan, {.weights = {}, .input = source, .output = output, .aux = scratch}), spec.rows);
  std::vector<NibMomentTile> tiles(size_t(output.sizeBytes() / sizeof(NibMomentTile)));
  device.download(output, 0, tiles.data(), tiles.size() * sizeof(NibMomentTile));
  return tiles;
}

}  // namespace

LayerTrial::LayerTrial(const TimedDevice& device, Decoder& decoder, const ModelView::Tensor& tensor,
                       const WeightSpec& spec, uint32_t samples)
    : device_(device), spec_(spec), type_(*decoder.typeOf(tensor)), samples_(samples), inverse_(spec.cols, 1.0f) {
  spec_.weights.flags &= ~uint32_t(NIB_WEIGHTS_NESTED);  // scales are nested after the search
  const uint64_t row = uint64_t(spec.cols) * 4, matrix = row * spec.rows;
  inverses_ = factors_ + aligned(row);
  source_ = inverses_ + aligned(row);
  values_ = source_ + aligned(matrix);
  result_ = values_ + aligned(matrix);
  const uint64_t products = uint64_t(samples) * (aligned(row) + aligned(uint64_t(spec.rows) * 4));
  operands_ = kit::Buffer(device.untimed(), result_ + std::max(aligned(matrix), products) + 256);
  decoder.decode(tensor, 0, tensor.elements(), range(source_, tensor.elements() * (type_ == NIB_TYPE_F32 ? 4 : 2)));

  NibQuantizeDesc quantize{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  quantize.flags = spec.search_scales ? NIB_QUANTIZE_GIVEN_SCALES : NIB_QUANTIZE_STATUS;
  quantize.rows = spec.rows;
  quantize.cols = spec.cols;
  quantize.source_type = NIB_TYPE_F32;
  quantize.weights = spec_.weights;
  quantize_ = std::make_unique<kit::Plan>(device.untimed(), quantize);
  if (spec.search_scales) {
    NibSearchDesc search{NIB_OP_SEARCH, sizeof(NibSearchDesc)};
    search.rows = spec.rows;
    search.cols = spec.cols;
    search.source_type = NIB_TYPE_F32;
    search.weights = spec_.weights;
    search_ = std::make_unique<kit::Plan>(device.untimed(), search);
  }
  NibDequantizeDesc dequantize{NIB_OP_DEQUANTIZE, sizeof(NibDequantizeDesc)};
  dequantize.rows = spec.rows;
  dequantize.cols = spec.cols;
  dequantize.result_type = NIB_TYPE_F32;
  dequantize.weights = spec_.weights;
  dequantize_ = std::make_unique<kit::Plan>(device.untimed(), dequantize);
  blob_ = kit::Buffer(device.untimed(), quantize_->sizeBytes(NIB_ROLE_WEIGHTS));
  scratch_ = kit::Buffer(device.untimed(), std::max<uint64_t>(quantize_->sizeBytes(NIB_ROLE_AUX), 4));
}

std::vector<float> LayerTrial::weight() const {
  const size_t count = size_t(spec_.rows) * spec_.cols;
  std::vector<float> values(count);
  if (type_ == NIB_TYPE_F32) {
    device_.download(operands_, source_, values.data(), count * 4);
    return values;
  }
  std::vector<std::byte> stored(count * 2);
  device_.download(operands_, source_, stored.data(), stored.size());
  const Dtype dtype = type_ == NIB_TYPE_F16 ? Dtype::kF16 : Dtype::kBF16;
  for (size_t i = 0; i < count; ++i) values[i] = floatValue(dtype, &stored[i * 2]);
  return values;
}

void LayerTrial::scale(uint64_t source, NibType type, uint64_t row, uint64_t result) {
  NibElementwiseDesc desc = elementwiseDesc(NIB_ELEMENTWISE_MUL, spec_, type);
  desc.flags = NIB_ELEMENTWISE_ONE_ROW;
  const kit::Plan plan(device_.untimed(), desc);
  const kit::Ranges ranges{.weights = {}, .input = operands_, .output = operands_, .aux = {}};
  const std::vector<kit::PartOffset> parts{
      {NIB_PART_SOURCE, source}, {NIB_PART_SECOND, row}, {NIB_PART_RESULT, result}};
  device_.run(kit::Binding(plan, ranges, parts), spec_.rows);
}

void LayerTrial::quantize(std::span<const float> factors) {
  for (size_t c = 0; c < inverse_.size(); ++c) inverse_[c] = -1.0f / factors[c];
  device_.upload(operands_, factors_, factors.data(), factors.size_bytes());
  device_.upload(operands_, inverses_, inverse_.data(), inverse_.size() * sizeof(float));
  scale(source_, type_, factors_, values_);
  const kit::Range scaled = range(values_, uint64_t(spec_.rows) * spec_.cols * 4);
  if (search_) {
    device_.run(kit::Binding(*search_, {.weights = blob_, .input = scaled, .output = {}, .aux = {}}), spec_.rows);
  }
  device_.fill(scratch_, 0, 0, scratch_.sizeBytes());
  device_.run(kit::Binding(*quantize_, {.weights = blob_, .input = scaled, .output = {}, .aux = scratch_}), spec_.rows);
  device_.run(kit::Binding(*dequantize_, {.weights = blob_, .input = {}, .output = scaled, .aux = {}}), spec_.rows);
}

void LayerTrial::write(uint64_t source, NibType type, float factor, const kit::Range& to) {
  NibElementwiseDesc desc = elementwiseDesc(NIB_ELEMENTWISE_SCALE, spec_, type);
  desc.second_type = 0;
  desc.factor = factor;
  const kit::Plan plan(device_.untimed(), desc);
  const kit::Range from = range(source, plan.sizeBytes(NIB_ROLE_INPUT));
  device_.run(kit::Binding(plan, {.weights = {}, .input = from, .output = to, .aux = {}}), spec_.rows);
}

void LayerTrial::writeTried(const kit::Range& to) {
  scale(values_, NIB_TYPE_F32, inverses_, values_);
  write(values_, NIB_TYPE_F32, -1, to);
}

void LayerTrial::writePlain(const kit::Range& to) { write(source_, type_, 1, to); }

double LayerTrial::loss(const HessianSum& hessian) {
  scale(values_, NIB_TYPE_F32, inverses_, values_);
  {
    const kit::Plan add(device_.untimed(), elementwiseDesc(NIB_ELEMENTWISE_ADD, spec_, type_));
    const kit::Ranges ranges{.weights = {}, .input = operands_, .output = operands_, .aux = {}};
    const std::vector<kit::PartOffset> parts{
        {NIB_PART_SOURCE, source_}, {NIB_PART_SECOND, values_}, {NIB_PART_RESULT, values_}};
    device_.run(kit::Binding(add, ranges, parts), spec_.rows);
  }
  const uint64_t bytes = uint64_t(spec_.rows) * spec_.cols * 4;
  const kit::Range error = range(values_, bytes), product = range(result_, bytes);
  // H is a triangle T: e H e = 2 e T e - sum of h_jj e_j^2.
  NibMatmulDesc desc{NIB_OP_MATMUL, sizeof(NibMatmulDesc)};
  desc.flags = NIB_PRODUCT_ONE_KERNEL;
  desc.rows = desc.cols = spec_.cols;
  desc.tokens = spec_.rows;
  desc.weights.format = NIB_FORMAT_DENSE;
  desc.weights.scale_type = NIB_TYPE_F32;
  const kit::Plan multiply(device_.untimed(), desc);
  const kit::Buffer scratch(device_.untimed(), std::max<uint64_t>(multiply.sizeBytes(NIB_ROLE_AUX), 4));
  const kit::Range triangle(hessian.buffer(), 0, multiply.sizeBytes(NIB_ROLE_WEIGHTS));
  device_.run(kit::Binding(multiply, {.weights = triangle, .input = error, .output = product, .aux = scratch}),
              spec_.rows);
  {
    const kit::Plan both(device_.untimed(), elementwiseDesc(NIB_ELEMENTWISE_MUL, spec_, NIB_TYPE_F32));
    const kit::Ranges ranges{.weights = {}, .input = operands_, .output = operands_, .aux = {}};
    const std::vector<kit::PartOffset> parts{
        {NIB_PART_SOURCE, result_}, {NIB_PART_SECOND, values_}, {NIB_PART_RESULT, result_}};
    device_.run(kit::Binding(both, ranges, parts), spec_.rows);
  }
  const std::vector<NibMomentTile> sums = momentsOf(device_, spec_, NIB_GRANULARITY_TENSOR, product);
  NibMoments total{};
  nibMomentsAdd(&total, sums.data(), sums.size(), 1);
  const std::vector<NibMomentTile> columns = momentsOf(device_, spec_, NIB_GRANULARITY_COLUMN, error);
  std::vector<float> diagonal(spec_.cols);
  device_.download(hessian.buffer(), hessian.diagonalOffset(), diagonal.data(), diagonal.size() * sizeof(float));
  double own = 0;
  for (uint32_t c = 0; c < spec_.cols; ++c) {
    NibMoments column{};
    nibMomentsAdd(&column, &columns[c], columns.size() / spec_.cols, spec_.cols);
    own += double(diagonal[c]) * column.squares;
  }
  return std::max(0.0, 2 * total.sum - own) / double(std::max<uint64_t>(hessian.tokens(), 1));
}

std::vector<float> LayerTrial::multiply(std::span<const float> inputs, uint64_t weights, NibType type) {
  const uint32_t n = uint32_t(inputs.size() / spec_.cols);
  NibMatmulDesc desc{NIB_OP_MATMUL, sizeof(NibMatmulDesc)};
  desc.flags = NIB_PRODUCT_ONE_KERNEL;
  desc.rows = spec_.rows;
  desc.cols = spec_.cols;
  desc.tokens = samples_;
  desc.weights.format = NIB_FORMAT_DENSE;
  desc.weights.scale_type = type;
  const kit::Plan plan(device_.untimed(), desc);
  const uint64_t input_bytes = uint64_t(samples_) * spec_.cols * 4;
  const kit::Range input = range(result_, input_bytes);
  const kit::Range output = range(result_ + aligned(input_bytes), plan.sizeBytes(NIB_ROLE_OUTPUT));
  const kit::Buffer scratch(device_.untimed(), std::max<uint64_t>(plan.sizeBytes(NIB_ROLE_AUX), 4));
  device_.upload(operands_, result_, inputs.data(), inputs.size_bytes());
  const kit::Range matrix = range(weights, plan.sizeBytes(NIB_ROLE_WEIGHTS));
  device_.run(kit::Binding(plan, {.weights = matrix, .input = input, .output = output, .aux = scratch}), n);
  std::vector<float> result(size_t(n) * spec_.rows);
  device_.download(operands_, output.offset_bytes, result.data(), result.size() * sizeof(float));
  return result;
}

std::vector<float> LayerTrial::product(std::span<const float> inputs) {
  return multiply(inputs, values_, NIB_TYPE_F32);
}
std::vector<float> LayerTrial::plainProduct(std::span<const float> inputs) { return multiply(inputs, source_, type_); }

}  // namespace nib::model
