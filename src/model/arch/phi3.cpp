// Phi-3, Phi-3.5, Phi-4: queries, keys and values are one layer, and gate and up another.
#include "model/arch/config.h"
#include "model/archive/error.h"

namespace nib::model {
namespace {

// Early files call the scaling "su" or "yarn".
void checkScaling(const Json& rope) {
  const std::string type = readText(rope, "rope_type", readText(rope, "type", "default"));
  for (const char* known : {"default", "longrope", "su", "yarn"}) {
    if (type == known) return;
  }
  refuseKey("rope_type", "is " + quoteText(type) + "; models of type phi3 have default and longrope");
}

}  // namespace

void readPhi3(const Json& given, ModelConfig& config) {
  Json json = given;
  if (!json.contains("original_max_position_embeddings")) json["original_max_position_embeddings"] = 4096;
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!json.contains(key) || !json[key].is_object() || json[key].empty()) continue;
    checkScaling(json[key]);
    if (readText(json[key], "rope_type", readText(json[key], "type", "default")) != "default") {
      json[key]["rope_type"] = "longrope";
    }
  }
  readShared(json, {32064, 3072, 8192, 32, 32, 0, 0, 4096, 1e-5, 1e4, false}, config);
  config.fused = true;
  config.window.assign(config.layers, readWindow(json, 0));
}

}  // namespace nib::model
