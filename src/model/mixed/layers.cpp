#include "model/mixed/layers.h"

#include "model/arch/decoder.h"
#include "model/archive/module_name.h"

#include <map>
#include <utility>

namespace nib::model {

std::string MixedLayer::module() const { return std::string(moduleOf(name)); }

std::vector<LayerUnit> unitsOf(const ModelConfig& config, const std::vector<MixedLayer>& layers, bool separate) {
  std::map<std::string, size_t> free;  // not fixed, by module
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].fixed) free.emplace(layers[i].module(), i);
  }
  std::vector<LayerUnit> units;
  std::vector<bool> done(layers.size(), false);
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    for (const std::vector<std::string>& modules : linearLayers(config, layer)) {
      LayerUnit unit;
      for (const std::string& module : modules) {
        const auto found = free.find(module);
        if (found == free.end()) continue;
        if (separate && !unit.empty()) units.push_back(std::exchange(unit, {}));
        unit.push_back(found->second);
        done[found->second] = true;
      }
      if (!unit.empty()) units.push_back(std::move(unit));
    }
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!done[i]) units.push_back({i});
  }
  return units;
}

}  // namespace nib::model
