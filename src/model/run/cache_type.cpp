#include "model/run/cache_type.h"

#include <algorithm>

namespace nib::model {
namespace {

constexpr uint32_t kGroup = 32, kSmallGroup = 16;

std::vector<CacheType> listTypes() {
  std::vector<CacheType> types;
  for (const auto& [name, type] : {std::pair{"f32", NIB_TYPE_F32}, {"f16", NIB_TYPE_F16}, {"bf16", NIB_TYPE_BF16}}) {
    types.push_back({name, {NIB_FORMAT_DENSE, 0, 0, uint32_t(type), 0, {0, 0}}, 8});
  }
  const auto add = [&](const char* format, const char* end, uint32_t flags) {
    const NibFormatInfo* info = nibFormatByName(format);
    if (info == nullptr) return;
    types.push_back({std::string(format) + end,
                     {info->format, NIB_GRANULARITY_GROUP, 0, NIB_TYPE_F16, flags, {0, 0}},
                     std::max(info->group_multiple, kSmallGroup)});
  };
  add("int8", "", 0);
  add("int4", "", 0);
  add("int4", "-asym", NIB_WEIGHTS_ASYMMETRIC);
  add("fp8", "", 0);
  add("q8_0", "", 0);
  add("q4_0", "", 0);
  return types;
}

}  // namespace

const std::vector<CacheType>& cacheTypes() {
  static const std::vector<CacheType> types = listTypes();
  return types;
}

const CacheType* findCacheType(const std::string& name) {
  for (const CacheType& type : cacheTypes()) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::optional<NibWeights> cacheFor(const CacheType& type, uint32_t head_size) {
  if (head_size % type.head_multiple != 0) return {};
  NibWeights cache = type.cache;
  if (cache.format != NIB_FORMAT_DENSE) cache.group_size = head_size % kGroup == 0 ? kGroup : kSmallGroup;
  return cache;
}

}  // namespace nib::model
