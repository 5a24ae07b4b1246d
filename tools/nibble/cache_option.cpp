#include "cache_option.h"

#include "options.h"

#include "model/run/cache_type.h"

namespace nib::tool {
namespace {

std::vector<std::string> names() {
  std::vector<std::string> names;
  for (const model::CacheType& type : model::cacheTypes()) names.push_back(type.name);
  return names;
}

}  // namespace

void addCacheOption(CLI::App& app, std::string& kv) {
  app.add_option("--kv", kv, "Type of the cache of keys and values (default f32): " + listed(names()));
}

void checkCacheOption(const std::string& kv) { chosen("--kv", {kv}, names()); }

CacheChoice cacheOption(const std::string& kv, const model::ModelConfig& config) {
  const std::string name = chosen("--kv", {kv}, names())[0];
  const model::CacheType& type = *model::findCacheType(name);
  const std::optional<NibWeights> cache = model::cacheFor(type, config.head_size);
  if (!cache) {
    throw UsageError("--kv " + name + " takes heads of a multiple of " + std::to_string(type.head_multiple) +
                     " elements; the model's heads have " + std::to_string(config.head_size));
  }
  return {name, *cache};
}

}  // namespace nib::tool
