#include "model/quantize/weight_type.h"

#include <algorithm>

namespace nib::model {
namespace {

struct Dense {
  const char* name;
  Dtype dtype;
  NibType type;
};
constexpr Dense kDense[] = {
    {"F32", Dtype::kF32, NIB_TYPE_F32}, {"F16", Dtype::kF16, NIB_TYPE_F16}, {"BF16", Dtype::kBF16, NIB_TYPE_BF16}};

}  // namespace

std::string WeightType::name() const {
  return quantized() ? nibFormatById(format)->name : std::string(dtypeName(dense));
}

std::optional<WeightType> findWeightType(std::string_view name) {
  if (const NibFormatInfo* info = nibFormatByName(std::string(name).c_str()))
    return WeightType{info->format, Dtype::kF32};
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  for (const Dense& dense : kDense) {
    if (upper == dense.name) return WeightType{0, dense.dtype};
  }
  return std::nullopt;
}

std::string weightTypeNames() {
  std::string names;
  for (uint32_t i = 0; const NibFormatInfo* info = nibFormatAt(i); ++i)
    names += std::string(i ? ", " : "") + info->name;
  for (const Dense& dense : kDense) names += std::string(", ") + dense.name;
  return names;
}

std::optional<NibType> nibTypeOf(Dtype dtype) {
  for (const Dense& dense : kDense) {
    if (dtype == dense.dtype) return dense.type;
  }
  return std::nullopt;
}

}  // namespace nib::model
