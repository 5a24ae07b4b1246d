// Gemma 2: layers with and without a window by turns; soft caps of scores and logits.
#include "model/arch/gemma.h"

#include <cmath>

namespace nib::model {
namespace {

// null is no cap; the class default holds only where the key is missing.
float readCap(const Json& json, const char* key, double fallback) {
  const double cap = readNumber(json, key, json.contains(key) ? 0 : fallback);
  if (cap != 0 && !(cap >= 0x1p-10 && cap <= 0x1p20)) refuseKey(key, "must be from 2^-10 to 2^20, or null");
  return float(cap);
}

}  // namespace

void readGemma(const Json& given, const Defaults& defaults, double attention_cap, double logit_cap,
               ModelConfig& config) {
  Json json = given;
  // Early files also have a hidden_act, which counts for nothing.
  readActivation(given, "hidden_activation", "gelu_pytorch_tanh");
  json["hidden_act"] = readText(given, "hidden_activation", "gelu_pytorch_tanh");
  readShared(json, defaults, config);
  checkWholeHeads(config);
  if (readFlag(json, "use_bidirectional_attention", false)) {
    refuseKey("use_bidirectional_attention", "is true; nibble runs models whose tokens see those before them");
  }
  config.query_bias = config.output_bias = readFlag(json, "attention_bias", false);
  config.norms_after = true;
  config.norm_offset = 1;
  // Not rounded to the type of the weights, as transformers does in fp32.
  config.embedding_scale = float(std::sqrt(double(config.hidden)));
  const double scalar = readNumber(json, "query_pre_attn_scalar", 256);
  if (!(scalar >= 1 && scalar <= 0x1p30)) refuseKey("query_pre_attn_scalar", "must be at least 1");
  config.attention_scale = float(1 / std::sqrt(scalar));
  config.attention_cap = readCap(json, "attn_logit_softcapping", attention_cap);
  config.logit_cap = readCap(json, "final_logit_softcapping", logit_cap);
}

void readGemma2(const Json& json, ModelConfig& config) {
  readGemma(json, {256000, 2304, 9216, 26, 8, 4, 256, 8192, 1e-6, 1e4, true}, 50, 30, config);
  const uint32_t window = readWindow(json, 4096);
  readLayerTypes(
      json, window, [](uint32_t layer) { return layer % 2 == 0; }, config);
}

}  // namespace nib::model
