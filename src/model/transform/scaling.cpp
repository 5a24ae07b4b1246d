#include "model/transform/scaling.h"

#include "model/archive/error.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace nib::model {
namespace {

const ModelView::Tensor& findTensor(const ModelView& view, const std::string& name) {
  const ModelView::Tensor* const tensor = view.find(name);
  if (tensor == nullptr) throw Error("a transform needs the tensor " + quoteText(name) + ", which the model lacks");
  return *tensor;
}

// To the nearest value of the type, half to even.
double rounded(Dtype dtype, double value) {
  const int bits = dtype == Dtype::kF16 ? 11 : dtype == Dtype::kBF16 ? 8 : 24;
  const int least = dtype == Dtype::kF16 ? -13 : -125;  // the exponent of the smallest normal value, in [0.5, 1) 2^e
  int exponent = 0;
  std::frexp(value, &exponent);
  const double step = std::ldexp(1.0, std::max(exponent, least) - bits);
  const double result = std::nearbyint(value / step) * step;
  const double most = dtype == Dtype::kF16 ? 65504.0 : double(std::numeric_limits<float>::max());
  return std::fabs(result) > most ? std::copysign(std::numeric_limits<double>::infinity(), value) : result;
}

std::vector<double> overShared(const ScaleGroup& group, const std::vector<double>& by_column,
                               const std::function<double(double, double)>& join, bool mean) {
  std::vector<double> by_row;
  std::vector<bool> seen;
  for (uint32_t c = 0; c < by_column.size(); ++c) {
    const uint32_t row = group.rowOf(c);
    if (row >= by_row.size()) {
      by_row.resize(row + 1);
      seen.resize(row + 1);
    }
    by_row[row] = seen[row] ? join(by_row[row], by_column[c]) : by_column[c];
    seen[row] = true;
  }
  std::vector<double> result(by_column.size());
  for (uint32_t c = 0; c < by_column.size(); ++c) {
    result[c] = by_row[group.rowOf(c)] / (mean ? double(group.repeat) : 1.0);
  }
  return result;
}

}  // namespace

std::vector<float> readValues(const ModelView& view, const std::string& name) {
  const ModelView::Tensor& tensor = findTensor(view, name);
  if (tensor.weight != nullptr ||
      (tensor.dtype != Dtype::kF32 && tensor.dtype != Dtype::kF16 && tensor.dtype != Dtype::kBF16)) {
    throw Error(quoteText(name) +
                ": is not F32, F16 or BF16, which transforms need: make the model dense with `nibble "
                "quantize IN -o OUT --format safetensors --type F16` first");
  }
  std::vector<std::byte> stored(size_t(tensor.bytes));
  view.checkpoint().read(tensor.index, 0, stored);
  const size_t element = dtypeBits(tensor.dtype) / 8;
  std::vector<float> values(size_t(tensor.elements()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = floatValue(tensor.dtype, &stored[i * element]);
  return values;
}

std::optional<ScaleGroup> findScaleGroup(const ModelConfig& config, uint32_t layer,
                                         const std::vector<std::string>& modules) {
  for (const ScaleGroup& group : scaleGroups(config, layer)) {
    const auto contains = [&](const std::string& module) {
      return std::find(group.modules.begin(), group.modules.end(), module) != group.modules.end();
    };
    if (std::all_of(modules.begin(), modules.end(), contains)) return group;
  }
  return std::nullopt;
}

std::vector<double> meanOverShared(const ScaleGroup& group, const std::vector<double>& by_column) {
  return overShared(
      group, by_column, [](double a, double b) { return a + b; }, true);
}

std::vector<double> maxOverShared(const ScaleGroup& group, const std::vector<double>& by_column) {
  return overShared(
      group, by_column, [](double a, double b) { return std::max(a, b); }, false);
}

std::vector<double> storable(const ModelView& view, const ScaleGroup& group, std::vector<double> factors) {
  if (!group.norm) return factors;
  const ModelView::Tensor& tensor = findTensor(view, group.before + ".weight");
  const std::vector<float> weights = readValues(view, group.before + ".weight");
  for (size_t c = 0; c < factors.size(); ++c) {
    const double gain = double(weights[c]) + double(group.offset);
    const double stored = rounded(tensor.declared.value_or(tensor.dtype), gain / factors[c] - double(group.offset));
    const double new_gain = stored + double(group.offset);
    factors[c] = new_gain != 0 && std::isfinite(new_gain) ? gain / new_gain : 1.0;
  }
  return factors;
}

void addScaling(const ModelView& view, const ScaleGroup& group, const std::vector<double>& factors, Edits& edits) {
  std::vector<double> inverse;
  for (uint32_t c = 0; c < factors.size(); ++c) {
    const uint32_t row = group.rowOf(c);
    if (row >= inverse.size()) inverse.resize(row + 1, 1.0);
    inverse[row] = 1.0 / factors[c];
  }
  edits.add(group.before + ".weight", group.norm ? scaleColumns(inverse, double(group.offset)) : scaleRows(inverse));
  if (view.find(group.before + ".bias") != nullptr) edits.add(group.before + ".bias", scaleColumns(inverse));
  for (const std::string& module : group.modules) edits.add(module + ".weight", scaleColumns(factors));
}

}  // namespace nib::model
