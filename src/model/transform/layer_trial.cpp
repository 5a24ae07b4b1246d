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

  makeElementwise(scale_, NIB_ELEMENTWISE_MUL, type_, source_, factors_, values_);
  makeElementwise(unscale_, NIB_ELEMENTWISE_MUL, NIB_TYPE_F32, values_, inverses_, values_);
  makeElementwise(add_, NIB_ELEMENTWISE_ADD, type_, source_, values_, values_);
  makeElementwise(both_, NIB_ELEMENTWISE_MUL, NIB_TYPE_F32, result_, values_, result_);
  makeQuantization();
}

void LayerTrial::makeElementwise(std::optional<Step>& step, NibElementwiseKind kind, NibType type, uint64_t source,
                                 uint64_t second, uint64_t result) {
  NibElementwiseDesc desc = elementwiseDesc(kind, spec_, type);
  if (second == factors_ || second == inverses_) desc.flags = NIB_ELEMENTWISE_ONE_ROW;
  step.emplace(device_.untimed(), desc);
  const kit::Ranges ranges{.weights = {}, .input = operands_, .output = operands_, .aux = {}};
  const std::vector<kit::PartOffset> parts{
      {NIB_PART_SOURCE, source}, {NIB_PART_SECOND, second}, {NIB_PART_RESULT, result}};
  step->binding.emplace(step->plan, ranges, parts);
}

void LayerTrial::makeQuantization() {
  const kit::Range scaled = range(values_, matrixBytes());
  NibQuantizeDesc quantize{NIB_OP_QUANTIZE, sizeof(NibQuantizeDesc)};
  quantize.flags = spec_.search_scales ? NIB_QUANTIZE_GIVEN_SCALES : NIB_QUANTIZE_STATUS;
  quantize.rows = spec_.rows;
  quantize.cols = spec_.cols;
  quantize.source_type = NIB_TYPE_F32;
  quantize.weights = spec_.weights;
  quantize_.emplace(device_.untimed(), quantize);
  blob_ = kit::Buffer(device_.untimed(), quantize_->plan.sizeBytes(NIB_ROLE_WEIGHTS));
  quantize_->scratch = kit::Buffer(device_.untimed(), std::max<uint64_t>(quantize_->plan.sizeBytes(NIB_ROLE_AUX), 4));
  quantize_->binding.emplace(quantize_->plan,
                             kit::Ranges{.weights = blob_, .input = scaled, .output = {}, .aux = quantize_->scratch});
  if (spec_.search_scales) {
    NibSearchDesc search{NIB_OP_SEARCH, sizeof(NibSearchDesc)};
    search.rows = spec_.rows;
    search.cols = spec_.cols;
    search.source_type = NIB_TYPE_F32;
    search.weights = spec_.weights;
    search_.emplace(device_.untimed(), search);
    search_->binding.emplace(search_->plan, kit::Ranges{.weights = blob_, .input = scaled, .output = {}, .aux = {}});
  }
  NibDequantizeDesc dequantize{NIB_OP_DEQUANTIZE, sizeof(NibDequantizeDesc)};
  dequantize.rows = spec_.rows;
  dequantize.cols = spec_.cols;
  dequantize.result_type = NIB_TYPE_F32;
  dequantize.weights = spec_.weights;
  dequantize_.emplace(device_.untimed(), dequantize);
  dequantize_->binding.emplace(dequantize_->plan,
                               kit::Ranges{.weights = blob_, .input = {}, .output = scaled, .aux = {}});
}

void LayerTrial::makeMoments(std::optional<Step>& step, NibGranularity granularity, uint64_t source,
                             kit::Buffer& tiles) {
  step.emplace(device_.untimed(), momentsDesc(spec_, granularity));
  tiles = kit::Buffer(device_.untimed(), step->plan.sizeBytes(NIB_ROLE_OUTPUT));
  step->scratch = kit::Buffer(device_.untimed(), std::max<uint64_t>(step->plan.sizeBytes(NIB_ROLE_AUX), 4));
  step->binding.emplace(
      step->plan,
      kit::Ranges{.weights = {}, .input = range(source, matrixBytes()), .output = tiles, .aux = step->scratch});
}

// H is a triangle T: e H e = 2 e T e - sum of h_jj e_j^2.
void LayerTrial::makeLoss(const HessianSum& hessian) {
  if (hessian_ == &hessian) return;
  hessian_ = &hessian;
  NibMatmulDesc desc{NIB_OP_MATMUL, sizeof(NibMatmulDesc)};
  desc.flags = NIB_PRODUCT_ONE_KERNEL;
  desc.rows = desc.cols = spec_.cols;
  desc.tokens = spec_.rows;
  desc.weights.format = NIB_FORMAT_DENSE;
  desc.weights.scale_type = NIB_TYPE_F32;
  triangle_.emplace(device_.untimed(), desc);
  triangle_->scratch = kit::Buffer(device_.untimed(), std::max<uint64_t>(triangle_->plan.sizeBytes(NIB_ROLE_AUX), 4));
  const kit::Range triangle(hessian.buffer(), 0, triangle_->plan.sizeBytes(NIB_ROLE_WEIGHTS));
  triangle_->binding.emplace(triangle_->plan, kit::Ranges{.weights = triangle,
                                                          .input = range(values_, matrixBytes()),
                                                          .output = range(result_, matrixBytes()),
                                                          .aux = triangle_->scratch});
  makeMoments(sum_, NIB_GRANULARITY_TENSOR, result_, sums_);
  makeMoments(column_, NIB_GRANULARITY_COLUMN, values_, columns_);
}

std::vector<NibMomentTile> LayerTrial::tilesOf(const std::optional<Step>& step, const kit::Buffer& tiles) const {
  run(step);
  std::vector<NibMomentTile> result(size_t(tiles.sizeBytes() / sizeof(NibMomentTile)));
  device_.download(tiles, 0, result.data(), result.size() * sizeof(NibMomentTile));
  return result;
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

void LayerTrial::quantize(std::span<const float> factors) {
  for (size_t c = 0; c < inverse_.size(); ++c) inverse_[c] = -1.0f / factors[c];
  device_.upload(operands_, factors_, factors.data(), factors.size_bytes());
  device_.upload(operands_, inverses_, inverse_.data(), inverse_.size() * sizeof(float));
  run(scale_);
  if (search_) run(search_);
  device_.fill(quantize_->scratch, 0, 0, quantize_->scratch.sizeBytes());
  run(quantize_);
  run(dequantize_);
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
  run(unscale_);
  write(values_, NIB_TYPE_F32, -1, to);
}

void LayerTrial::writePlain(const kit::Range& to) { write(source_, type_, 1, to); }

double LayerTrial::loss(const HessianSum& hessian) {
  makeLoss(hessian);
  run(unscale_);
  run(add_);
  run(triangle_);
  run(both_);
  const std::vector<NibMomentTile> sums = tilesOf(sum_, sums_), columns = tilesOf(column_, columns_);
  NibMoments total{};
  nibMomentsAdd(&total, sums.data(), sums.size(), 1);
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
