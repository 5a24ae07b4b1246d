// The option --kv: the type of the cache of keys and values.
#ifndef NIB_TOOL_CACHE_OPTION_H
#define NIB_TOOL_CACHE_OPTION_H

#include "model/arch/config.h"

#include <nibble/nibble.h>
#include <CLI/CLI.hpp>

#include <string>

namespace nib::tool {

void addCacheOption(CLI::App& app, std::string& kv);
// Throws UsageError if there is no such type.
void checkCacheOption(const std::string& kv);
struct CacheChoice {
  std::string name;
  NibWeights cache;
};
// The cache of the model's heads. Throws UsageError if the type cannot hold them.
CacheChoice cacheOption(const std::string& kv, const model::ModelConfig& config);

}  // namespace nib::tool
#endif
