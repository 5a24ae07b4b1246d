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

void addCacheOptions(CLI::App& app, CacheArguments& a) {
  app.add_option("--kv", a.kv, "Type of the cache of keys and values (default f32): " + listed(names()));
  app.add_flag("--kv-rotate", a.rotate, "Rotate queries and keys by a Hadamard matrix, so that keys quantize better");
}

void checkCacheType(const CacheArguments& a) { chosen("--kv", {a.kv}, names()); }

CacheChoice cacheChoice(const CacheArguments& a, const model::ModelConfig& config) {
  const std::string name = chosen("--kv", {a.kv}, names())[0];
  if (config.encoder && (name != "f32" || a.rotate)) {
    throw UsageError("--kv: " + config.family + " models are encoders, which keep no cache");
  }
  const model::CacheType& type = *model::findCacheType(name);
  const std::optional<NibWeights> cache = model::cacheFor(type, config.head_size);
  if (!cache) {
    throw UsageError("--kv " + name + " takes heads of a multiple of " + std::to_string(type.head_multiple) +
                     " elements; the model's heads have " + std::to_string(config.head_size));
  }
  if (a.rotate && nibHadamardOrder(config.head_size) == 0) {
    throw UsageError("--kv-rotate: there is no Hadamard matrix of the size of the model's heads, " +
                     std::to_string(config.head_size));
  }
  return {name, *cache, a.rotate};
}

}  // namespace nib::tool
