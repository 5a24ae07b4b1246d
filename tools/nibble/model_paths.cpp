#include "model_paths.h"

#include "model/archive/checkpoint.h"
#include "model/archive/error.h"
#include "model/archive/gguf/parts.h"

#include <filesystem>

namespace nib::tool {

void readsModel(PathCheck& paths, const std::string& option, const std::string& path) {
  paths.reads(option, path, [](std::string_view name) {
    return name.ends_with(".safetensors") || name.ends_with(".gguf") || name.ends_with(".index.json") ||
           name == "config.json" || name == "adapter_config.json" || model::isLoaderFile(name) ||
           model::isQuantizationFile(name);
  });
  for (const std::filesystem::path& part : model::otherParts(path)) paths.reads(option, part.string());
}

void copiesFiles(PathCheck& paths, const std::string& option, const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return;
  try {
    const std::filesystem::path folder = path;
    for (const model::SideFile& file : model::findSideFiles(folder).files) {
      paths.reads(option, (folder / file.name).string());
    }
  } catch (const model::Error&) {  // its reader says what is wrong
  }
}

void readsRecordings(PathCheck& paths, const std::string& option, const std::string& path) {
  paths.reads(option, path,
              [](std::string_view name) { return name.ends_with(".npy") || name.ends_with(".safetensors"); });
}

void readsWeightOptions(PathCheck& paths, const WeightArguments& arguments) {
  for (const std::string& path : arguments.calib) paths.reads("--calib", path);
}

}  // namespace nib::tool
