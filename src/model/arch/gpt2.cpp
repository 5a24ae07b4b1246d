// GPT-2: learned positions, layer norms, layers that files store as [in, out].
#include "model/arch/config.h"
#include "model/archive/error.h"

namespace nib::model {
namespace {

// The keys under the names that other families have.
Json usualKeys(const Json& given) {
  Json json = given;
  constexpr std::pair<const char*, const char*> kNames[] = {{"n_embd", "hidden_size"},
                                                            {"n_inner", "intermediate_size"},
                                                            {"n_layer", "num_hidden_layers"},
                                                            {"n_head", "num_attention_heads"},
                                                            {"n_positions", "max_position_embeddings"},
                                                            {"layer_norm_epsilon", "rms_norm_eps"}};
  for (const auto& [own, usual] : kNames) {
    if (!given.contains(own) || given[own].is_null()) continue;
    // A value of another type is refused under its own name.
    usual == std::string_view("rms_norm_eps") ? void(readNumber(given, own, 0)) : void(readCount(given, own));
    json[usual] = given[own];
  }
  readActivation(given, "activation_function", "gelu_new");
  json["hidden_act"] = readText(given, "activation_function", "gelu_new");
  // Heads share no keys, and are hidden_size / n_head wide.
  for (const char* key : {"num_key_value_heads", "head_dim", "rope_scaling", "rope_parameters"}) json.erase(key);
  if (!json.contains("intermediate_size")) {
    constexpr uint32_t kHidden = 768;
    json["intermediate_size"] = 4 * uint64_t(readCount(json, "hidden_size", &kHidden));
  }
  return json;
}

}  // namespace

void readGpt2(const Json& given, ModelConfig& config) {
  const Json json = usualKeys(given);
  readShared(json, {50257, 768, 3072, 12, 12, 0, 0, 1024, 1e-5, 1e4, true}, config);
  if (config.hidden % config.heads != 0) refuseKey("n_head", "must divide n_embd");
  if (readFlag(json, "add_cross_attention", false)) {
    refuseKey("add_cross_attention", "is true; nibble runs decoders alone");
  }
  config.block = BlockKind::kGpt2;
  config.fused = true;
  config.query_bias = config.output_bias = config.inner_bias = true;
  config.learned_positions = config.max_positions;
  if (!readFlag(json, "scale_attn_weights", true)) config.attention_scale = 1;
  config.layer_attention_scale = readFlag(json, "scale_attn_by_inverse_layer_idx", false);
}

}  // namespace nib::model
