// ViT and the image part of CLIP: encoders of patches, with norms in front of layers.
#include "model/arch/config.h"
#include "model/archive/error.h"

#include <tuple>
#include <utility>

namespace nib::model {
namespace {

// A size of the key: a number, or [height, width].
std::pair<uint32_t, uint32_t> readSides(const Json& json, const char* key, uint32_t fallback) {
  const auto side = [&](const Json& value) {
    const Json one = {{key, value}};
    const uint32_t count = readCount(one, key);
    if (count == 0) refuseKey(key, "must be at least 1");
    return count;
  };
  if (!json.contains(key) || json[key].is_null()) return {fallback, fallback};
  if (!json[key].is_array()) return {side(json[key]), side(json[key])};
  if (json[key].size() != 2) refuseKey(key, "must be a number, or two");
  return {side(json[key][0]), side(json[key][1])};
}

struct ImageDefaults {
  uint32_t patch;
  double epsilon;
};

// outputs: rows of the head.
void readImageEncoder(const Json& given, const ImageDefaults& defaults, uint32_t outputs, ModelConfig& config) {
  ImageConfig image;
  std::tie(image.height, image.width) = readSides(given, "image_size", 224);
  std::tie(image.patch_height, image.patch_width) = readSides(given, "patch_size", defaults.patch);
  constexpr uint32_t kChannels = 3;
  image.channels = readCount(given, "num_channels", &kChannels);
  if (image.channels == 0) refuseKey("num_channels", "must be at least 1");
  if (image.patch_height > image.height || image.patch_width > image.width) {
    refuseKey("patch_size", "exceeds image_size");
  }
  // Beyond, numbers of elements would not fit.
  constexpr uint64_t kMost = 1 << 24;
  const uint64_t patches = uint64_t(image.height / image.patch_height) * (image.width / image.patch_width);
  const uint64_t elements = uint64_t(image.patch_height) * image.patch_width;
  if (patches > kMost || elements > kMost || elements * image.channels > kMost) {
    refuseKey("image_size", "or patch_size is too large");
  }
  Json json = given;
  json["rms_norm_eps"] = readNumber(given, "layer_norm_eps", defaults.epsilon);
  json["vocab_size"] = outputs;
  json["max_position_embeddings"] = image.patches() + 1;
  for (const char* key : {"num_key_value_heads", "head_dim", "rope_scaling", "rope_parameters"}) json.erase(key);
  const std::string activation =
      readText(given, "hidden_act", config.block == BlockKind::kClip ? "quick_gelu" : "gelu");
  config.quick_gelu = activation == "quick_gelu";
  json["hidden_act"] = config.quick_gelu ? "gelu" : activation;
  readShared(json, {1, 768, 3072, 12, 12, 0, 0, 1, defaults.epsilon, 1e4, false}, config);
  if (config.quick_gelu) config.activation = NIB_ACTIVATION_NONE;
  if (config.hidden % config.heads != 0) refuseKey("num_attention_heads", "must divide hidden_size");
  config.encoder = true;
  config.tied = false;
  config.image = image;
  config.output_bias = config.inner_bias = true;
}

}  // namespace

void readVit(const Json& json, ModelConfig& config) {
  config.block = BlockKind::kVit;
  constexpr uint32_t kLabels = 2;
  uint32_t labels = readCount(json, "num_labels", &kLabels);
  if (json.contains("id2label") && json["id2label"].is_object()) labels = uint32_t(json["id2label"].size());
  if (labels == 0) refuseKey("id2label", "has no label");
  if (readText(json, "pooler_act", "tanh") != "tanh")
    refuseKey("pooler_act", "is not \"tanh\", which nibble does not run");
  readImageEncoder(json, {16, 1e-12}, labels, config);
  const uint32_t hidden = config.hidden;
  if (readCount(json, "pooler_output_size", &hidden) != hidden) refuseKey("pooler_output_size", "is not hidden_size");
  config.query_bias = readFlag(json, "qkv_bias", true);
  config.head_bias = true;
}

void readClipVision(const Json& json, ModelConfig& config) {
  config.block = BlockKind::kClip;
  constexpr uint32_t kProjection = 512;
  readImageEncoder(json, {32, 1e-5}, readCount(json, "projection_dim", &kProjection), config);
  config.query_bias = true;
}

void readClip(const Json& json, ModelConfig& config) {
  Json vision = json.contains("vision_config") ? json["vision_config"] : Json::object();
  if (!vision.is_object()) refuseKey("vision_config", "must be an object");
  // The projection is that of the whole model.
  vision.erase("projection_dim");
  if (json.contains("projection_dim")) vision["projection_dim"] = json["projection_dim"];
  readClipVision(vision, config);
  config.other_parts = {"text_model.", "text_projection.", "logit_scale"};
}

}  // namespace nib::model
