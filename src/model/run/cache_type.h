// The types of the cache of keys and values, the names of --kv.
#ifndef NIB_MODEL_RUN_CACHE_TYPE_H
#define NIB_MODEL_RUN_CACHE_TYPE_H

#include <nibble/nibble.h>

#include <optional>
#include <string>
#include <vector>

namespace nib::model {

struct CacheType {
  std::string name;        // "int4-asym"
  NibWeights cache;        // with a group_size of 0 if it may be chosen
  uint32_t head_multiple;  // heads have a multiple of so many elements
};

// Those of this build: dense types, then quantized ones.
const std::vector<CacheType>& cacheTypes();
// NULL if there is no such type. name: in lower case.
const CacheType* findCacheType(const std::string& name);
// The cache for heads of head_size: groups of 32, or of 16 where 32 do not divide the heads. None if the type cannot
// hold such heads.
std::optional<NibWeights> cacheFor(const CacheType& type, uint32_t head_size);

}  // namespace nib::model
#endif
