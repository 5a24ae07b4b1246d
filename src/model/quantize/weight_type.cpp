#include "model/quantize/weight_type.h"

#include "model/archive/error.h"

#include <algorithm>
#include <charconv>

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

std::string SizedType::name() const {
  return type.name() + (group_size ? ":" + std::to_string(*group_size) : std::string());
}

SizedType parseSizedType(const std::string& text, const std::string& where) {
  SizedType sized;
  const size_t colon = text.find(':');
  if (colon != std::string::npos) {
    int64_t group = 0;
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data() + colon + 1, end, group);
    if (result.ec != std::errc() || result.ptr != end || group < -1 || group == 0 || group > 256) {
      throw Error(where + ": the group size must be -1 or 16 to 256");
    }
    sized.group_size = group;
  }
  const std::string name = text.substr(0, colon);
  const std::optional<WeightType> found = findWeightType(name);
  if (!found) throw Error(where + ": unknown type " + quoteText(name) + "; expected one of " + weightTypeNames());
  sized.type = *found;
  return sized;
}

std::optional<NibType> nibTypeOf(Dtype dtype) {
  for (const Dense& dense : kDense) {
    if (dtype == dense.dtype) return dense.type;
  }
  return std::nullopt;
}

}  // namespace nib::model
