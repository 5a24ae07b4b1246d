// The options --kv and --kv-rotate: how keys and values are cached.
#ifndef NIB_TOOL_CACHE_OPTION_H
#define NIB_TOOL_CACHE_OPTION_H

#include "model/arch/config.h"

#include <nibble/nibble.h>
#include <CLI/CLI.hpp>

#include <string>

namespace nib::tool {

struct CacheArguments {
  std::string kv = "f32";
  bool rotate = false;
};
void addCacheOptions(CLI::App& app, CacheArguments& arguments);
// Throws UsageError if there is no such type.
void checkCacheType(const CacheArguments& arguments);
struct CacheChoice {
  std::string name;
  NibWeights cache;
  bool rotate_heads;
};
// The cache of the model's heads. Throws UsageError if the type cannot hold them, or they cannot be rotated.
CacheChoice cacheChoice(const CacheArguments& arguments, const model::ModelConfig& config);

}  // namespace nib::tool
#endif
