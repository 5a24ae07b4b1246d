#include "model_paths.h"

#include "model/archive/checkpoint.h"

namespace nib::tool {

void readsModel(PathCheck& paths, const std::string& option, const std::string& path) {
  paths.reads(option, path, [](std::string_view name) {
    return name.ends_with(".safetensors") || name.ends_with(".gguf") || name.ends_with(".index.json") ||
           name == "config.json" || model::isLoaderFile(name);
  });
}

void readsRecordings(PathCheck& paths, const std::string& option, const std::string& path) {
  paths.reads(option, path,
              [](std::string_view name) { return name.ends_with(".npy") || name.ends_with(".safetensors"); });
}

void readsWeightOptions(PathCheck& paths, const WeightArguments& arguments) {
  for (const std::string& path : arguments.calib) paths.reads("--calib", path);
}

}  // namespace nib::tool
