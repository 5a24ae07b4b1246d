#include "model_places.h"

#include "model/archive/checkpoint.h"

namespace nib::tool {

void readsModel(Places& places, const std::string& option, const std::string& path) {
  places.reads(option, path, [](std::string_view name) {
    return name.ends_with(".safetensors") || name.ends_with(".index.json") || name == "config.json" ||
           model::isSideFile(name);
  });
}

void readsRecordings(Places& places, const std::string& option, const std::string& path) {
  places.reads(option, path,
               [](std::string_view name) { return name.ends_with(".npy") || name.ends_with(".safetensors"); });
}

void readsWeightOptions(Places& places, const WeightArguments& arguments) {
  for (const std::string& path : arguments.calib) places.reads("--calib", path);
}

}  // namespace nib::tool
