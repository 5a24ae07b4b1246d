// Qwen2-MoE and Qwen3-MoE: the blocks of Qwen2 and Qwen3 with a mixture of experts instead of the gated layers, in all
// blocks or some of them.
#include "model/arch/qwen.h"

#include <algorithm>

namespace nib::model {
namespace {

void readExperts(const Json& json, uint32_t count, uint32_t chosen, uint32_t inner, ModelConfig& config) {
  ExpertsConfig& experts = config.experts;
  experts.count = readCount(json, "num_experts", &count);
  experts.chosen = readCount(json, "num_experts_per_tok", &chosen);
  experts.inner = readCount(json, "moe_intermediate_size", &inner);
  experts.normalized = readFlag(json, "norm_topk_prob", false);
  const uint32_t usual_step = 1, step = readCount(json, "decoder_sparse_step", &usual_step);
  if (step == 0) refuseKey("decoder_sparse_step", "must be 1 or more");
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    experts.layers.push_back(experts.count > 0 && (layer + 1) % step == 0);
  }
  const auto list = json.find("mlp_only_layers");
  if (list != json.end() && !list->is_null()) {
    if (!list->is_array()) refuseKey("mlp_only_layers", "must be a list of numbers of layers");
    for (const Json& layer : *list) {
      if (!layer.is_number_unsigned()) refuseKey("mlp_only_layers", "must be a list of numbers of layers");
      if (layer.get<uint64_t>() < config.layers) experts.layers[layer.get<size_t>()] = false;
    }
  }
  checkExperts(config);
}

}  // namespace

void readQwen2Moe(const Json& json, ModelConfig& config) {
  readShared(json, {151936, 2048, 5632, 24, 16, 16, 0, 32768, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  config.query_bias = readFlag(json, "qkv_bias", true);
  readQwenWindows(json, config);
  readExperts(json, 60, 4, 1408, config);
  const uint32_t usual_shared = 5632;
  config.experts.shared_inner = readCount(json, "shared_expert_intermediate_size", &usual_shared);
}

void readQwen3Moe(const Json& json, ModelConfig& config) {
  readShared(json, {151936, 2048, 6144, 24, 32, 4, 0, 32768, 1e-6, 1e4, false}, config);
  checkWholeHeads(config);
  config.query_bias = config.output_bias = readFlag(json, "attention_bias", false);
  config.query_norms = QueryNorms::kHeads;
  uint32_t window = 0;
  if (readFlag(json, "use_sliding_window", false)) window = readWindow(json, 4096);
  config.window.assign(config.layers, window);
  readExperts(json, 128, 8, 768, config);
}

}  // namespace nib::model
