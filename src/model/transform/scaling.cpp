#include "model/transform/scaling.h"

#include "model/archive/error.h"
#include "numerics/exact.h"

#include <algorithm>
#include <cmath>
#include <functional>

namespace nib::model {
namespace {

const ModelView::Tensor& findTensor(const ModelView& view, const std::string& name) {
  const ModelView::Tensor* const tensor = view.find(name);
  if (tensor == nullptr) throw Error("a transform needs the tensor " + quoteText(name) + ", which the model lacks");
  return *tensor;
}

double rounded(Dtype dtype, double value) {
  if (dtype == Dtype::kF16) return double(exact::nibHalfToF32(exact::nibF32ToHalf(float(value))));
  if (dtype == Dtype::kBF16) {
    int exponent = 0;
    const double mantissa = std::frexp(value, &exponent);
    return std::ldexp(std::nearbyint(mantissa * 256), exponent - 8);
  }
  return double(float(value));
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
    const double stored = rounded(tensor.declared.value_or(tensor.dtype), double(weights[c]) / factors[c]);
    const bool usable = stored != 0 && std::isfinite(stored);
    factors[c] = usable ? double(weights[c]) / stored : 1.0;
  }
  return factors;
}

void addScaling(const ModelView& view, const ScaleGroup& group, const std::vector<double>& factors, Edits& edits) {
  std::vector<double> inverse;
  for (uint32_t c = 0; c < factors.size(); ++c) {
    const uint32_t row = group.rowOf(c);
    if (row >= inverse.size()) inverse.resize(row + 1);
    inverse[row] = 1.0 / factors[c];
  }
  edits.add(group.before + ".weight", group.norm ? scaleColumns(inverse) : scaleRows(inverse));
  if (view.find(group.before + ".bias") != nullptr) edits.add(group.before + ".bias", scaleColumns(inverse));
  for (const std::string& module : group.modules) edits.add(module + ".weight", scaleColumns(factors));
}

}  // namespace nib::model
