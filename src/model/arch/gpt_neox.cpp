// GPT-NeoX, Pythia: layer norms, attention and the layers behind it beside each other, a share of each head is rotated.
#include "model/arch/config.h"
#include "model/archive/error.h"

namespace nib::model {

void readGptNeox(const Json& given, ModelConfig& config) {
  Json json = given;
  const auto rename = [&](const char* own, const char* usual) {
    // A value of another type is refused under its own name.
    if (given.contains(own) && !given[own].is_null()) json[usual] = readNumber(given, own, 0);
  };
  rename("layer_norm_eps", "rms_norm_eps");
  rename("rotary_emb_base", "rope_theta");
  json["partial_rotary_factor"] = readNumber(given, "rotary_pct", 0.25);
  json["hidden_act"] = readText(given, "hidden_act", "gelu");
  for (const char* key : {"num_key_value_heads", "head_dim"}) json.erase(key);
  readShared(json, {50432, 6144, 24576, 44, 64, 0, 0, 2048, 1e-5, 1e4, false}, config);
  if (config.hidden % config.heads != 0) refuseKey("num_attention_heads", "must divide hidden_size");
  config.block = BlockKind::kNeox;
  config.fused = true;
  config.query_bias = config.output_bias = readFlag(json, "attention_bias", true);
  config.inner_bias = true;
  config.parallel = readFlag(json, "use_parallel_residual", true);
}

}  // namespace nib::model
