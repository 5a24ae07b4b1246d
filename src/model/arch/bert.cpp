// BERT and RoBERTa: encoders, whose head predicts tokens that a mask covers.
#include "model/arch/config.h"
#include "model/archive/error.h"

namespace nib::model {
namespace {

void readEncoder(const Json& given, ModelConfig& config) {
  Json json = given;
  if (given.contains("layer_norm_eps") && !given["layer_norm_eps"].is_null()) {
    json["rms_norm_eps"] = readNumber(given, "layer_norm_eps", 0);
  } else {
    json.erase("rms_norm_eps");
  }
  json["hidden_act"] = readText(given, "hidden_act", "gelu");
  // Heads share no keys, and are hidden_size / num_attention_heads wide.
  for (const char* key : {"num_key_value_heads", "head_dim", "rope_scaling", "rope_parameters"}) json.erase(key);
  readShared(json, {30522, 768, 3072, 12, 12, 0, 0, 512, 1e-12, 1e4, true}, config);
  if (config.hidden % config.heads != 0) refuseKey("num_attention_heads", "must divide hidden_size");
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    if (readFlag(json, key, false)) refuseKey(key, "is true; nibble runs " + config.family + " as an encoder alone");
  }
  if (readText(json, "position_embedding_type", "absolute") != "absolute") {
    refuseKey("position_embedding_type", "is not \"absolute\", which nibble does not run");
  }
  constexpr uint32_t kTypes = 2;
  config.token_types = readCount(json, "type_vocab_size", &kTypes);
  if (config.token_types == 0) refuseKey("type_vocab_size", "must be at least 1");
  config.block = BlockKind::kBert;
  config.encoder = true;
  config.head_bias = true;
  config.query_bias = config.output_bias = config.inner_bias = true;
  config.learned_positions = config.max_positions;
}

}  // namespace

void readBert(const Json& json, ModelConfig& config) {
  readEncoder(json, config);
  config.head_activation = config.activation;
  // A head has two tensors of its bias, of which one is read.
  config.other_parts = {"cls.seq_relationship.", "cls.predictions.bias", "cls.predictions.decoder.bias"};
}

void readRoberta(const Json& json, ModelConfig& config) {
  readEncoder(json, config);
  config.head_activation = NIB_ACTIVATION_GELU;
  config.other_parts = {"lm_head.bias", "lm_head.decoder.bias"};
  // The rows before are those of padding, which fairseq counts too.
  constexpr uint32_t kPadding = 1;
  config.position_offset = readCount(json, "pad_token_id", &kPadding) + 1;
  if (config.position_offset >= config.learned_positions) {
    refuseKey("max_position_embeddings", "leaves no position behind that of pad_token_id");
  }
  config.max_positions = config.learned_positions - config.position_offset;
}

}  // namespace nib::model
