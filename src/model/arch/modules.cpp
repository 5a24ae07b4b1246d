// The modules of a block, and how they depend on each other.
#include "model/arch/blocks.h"

#include <utility>

namespace nib::model {

std::string moduleIn(const ModelConfig& config, const std::string& name) {
  return config.prefix.empty() ? name : config.prefix + "." + name;
}

std::string blockName(const ModelConfig& config, uint32_t layer) {
  const char* stack = "layers.";
  if (config.block == BlockKind::kGpt2) stack = "h.";
  if (config.block == BlockKind::kBert || config.block == BlockKind::kVit) stack = "encoder.layer.";
  if (config.block == BlockKind::kClip) stack = "encoder.layers.";
  return moduleIn(config, stack + std::to_string(layer));
}

std::vector<std::vector<std::string>> linearLayers(const ModelConfig& config, uint32_t layer) {
  const std::string block = blockName(config, layer);
  const std::string self = block + ".self_attn.", mlp = block + ".mlp.";
  switch (config.block) {
    case BlockKind::kGpt2:
      return {{block + ".attn.c_attn"}, {block + ".attn.c_proj"}, {mlp + "c_fc"}, {mlp + "c_proj"}};
    case BlockKind::kNeox:
      return {{block + ".attention.query_key_value"},
              {block + ".attention.dense"},
              {mlp + "dense_h_to_4h"},
              {mlp + "dense_4h_to_h"}};
    case BlockKind::kBert:
    case BlockKind::kVit:
    case BlockKind::kClip: {
      const EncoderNames names = encoderNames(config, layer);
      return {{names.query, names.key, names.value}, {names.output}, {names.up}, {names.down}};
    }
    case BlockKind::kGated: break;
  }
  if (config.hasExperts(layer)) {
    // Experts are no layers of all tokens.
    std::vector<std::vector<std::string>> layers = {{self + "q_proj", self + "k_proj", self + "v_proj"},
                                                    {self + "o_proj"}};
    if (config.experts.shared_inner == 0) return layers;
    const std::string shared = expertNames(config, layer).mlp + "shared_expert.";
    layers.push_back({shared + "gate_proj", shared + "up_proj"});
    layers.push_back({shared + "down_proj"});
    return layers;
  }
  if (config.fused) return {{self + "qkv_proj"}, {self + "o_proj"}, {mlp + "gate_up_proj"}, {mlp + "down_proj"}};
  return {{self + "q_proj", self + "k_proj", self + "v_proj"},
          {self + "o_proj"},
          {mlp + "gate_proj", mlp + "up_proj"},
          {mlp + "down_proj"}};
}

namespace {

// An activation lies between the two layers behind attention, so that no factor of the first goes into the second.
std::vector<ScaleGroup> gptScaleGroups(const ModelConfig& config, uint32_t layer) {
  const std::string block = blockName(config, layer);
  const std::vector<std::vector<std::string>> layers = linearLayers(config, layer);
  const bool gpt2 = config.block == BlockKind::kGpt2;
  ScaleGroup values{layers[0][0], false, layers[1], config.head_size, 1};
  values.first = 2 * (gpt2 ? config.hidden : config.head_size);
  values.step = gpt2 ? config.head_size : 3 * config.head_size;
  return {{block + (gpt2 ? ".ln_1" : ".input_layernorm"), true, layers[0], 0, 1},
          values,
          {block + (gpt2 ? ".ln_2" : ".post_attention_layernorm"), true, layers[2], 0, 1}};
}

}  // namespace

std::vector<ScaleGroup> scaleGroups(const ModelConfig& config, uint32_t layer) {
  if (config.block != BlockKind::kGated) return gptScaleGroups(config, layer);
  const std::string block = blockName(config, layer);
  const std::string self = block + ".self_attn.", mlp = block + ".mlp.";
  const std::vector<std::vector<std::string>> layers = linearLayers(config, layer);
  std::vector<ScaleGroup> groups;
  const auto addNormGroup = [&](const char* norm, const std::vector<std::string>& modules) {
    ScaleGroup group{block + norm, true, modules, 0, 1};
    group.offset = config.norm_offset;
    if (config.norms_before) groups.push_back(std::move(group));
  };
  addNormGroup(".input_layernorm", layers[0]);
  ScaleGroup values{layers[0].back(), false, layers[1], config.head_size, config.heads / config.key_heads};
  if (config.fused) values.first = (config.heads + config.key_heads) * config.head_size;
  groups.push_back(values);
  // The inputs of experts go into the router too, and it is not scaled.
  if (config.hasExperts(layer)) {
    if (layers.size() > 2) groups.push_back({layers[2].back(), false, layers[3], 0, 1});
    return groups;
  }
  addNormGroup(config.norms_after ? ".pre_feedforward_layernorm" : ".post_attention_layernorm", layers[2]);
  ScaleGroup inner{layers[2].back(), false, layers[3], 0, 1};
  if (config.fused) inner.first = config.inner;
  groups.push_back(inner);
  return groups;
}

namespace {

HiddenStates bertStates(const ModelConfig& config) {
  const std::string embeddings = moduleIn(config, "embeddings.");
  HiddenStates states{.embedding = embeddings + "word_embeddings",
                      .norm = "cls.predictions.transform.LayerNorm",
                      .head = "cls.predictions.decoder",
                      .positions = embeddings + "position_embeddings",
                      .types = embeddings + "token_type_embeddings",
                      .embedding_norm = embeddings + "LayerNorm",
                      .transform = "cls.predictions.transform.dense",
                      .head_bias = "cls.predictions.bias",
                      .pooler = moduleIn(config, "pooler.dense")};
  if (config.family == "roberta") {
    states.norm = "lm_head.layer_norm";
    states.head = "lm_head.decoder";
    states.transform = "lm_head.dense";
    states.head_bias = "lm_head.bias";
  }
  if (!config.tied) states.head_bias = states.head + ".bias";
  return states;
}

HiddenStates vitStates(const ModelConfig& config) {
  const std::string embeddings = moduleIn(config, "embeddings.");
  return {.embedding = embeddings + "patch_embeddings.projection",
          .norm = "",
          .head = "classifier",
          .positions = embeddings + "position_embeddings",
          .head_bias = "classifier.bias",
          .pooler = moduleIn(config, "pooler.dense"),
          .body_norm = moduleIn(config, "layernorm"),
          .class_token = embeddings + "cls_token"};
}

HiddenStates clipStates(const ModelConfig& config) {
  const std::string embeddings = moduleIn(config, "embeddings.");
  return {.embedding = embeddings + "patch_embedding",
          .norm = moduleIn(config, "post_layernorm"),
          .head = "visual_projection",
          .positions = embeddings + "position_embedding.weight",
          .embedding_norm = moduleIn(config, "pre_layrnorm"),
          .class_token = embeddings + "class_embedding"};
}

}  // namespace

HiddenStates hiddenStates(const ModelConfig& config) {
  switch (config.block) {
    case BlockKind::kGpt2:
      return {moduleIn(config, "wte"), moduleIn(config, "ln_f"), "lm_head", moduleIn(config, "wpe")};
    case BlockKind::kNeox: return {moduleIn(config, "embed_in"), moduleIn(config, "final_layer_norm"), "embed_out"};
    case BlockKind::kBert: return bertStates(config);
    case BlockKind::kVit: return vitStates(config);
    case BlockKind::kClip: return clipStates(config);
    case BlockKind::kGated: break;
  }
  return {moduleIn(config, "embed_tokens"), moduleIn(config, "norm"), "lm_head"};
}

std::string matrixModule(const ModelConfig& config, const std::string& module) {
  const HiddenStates states = hiddenStates(config);
  return config.tied && module == states.head ? states.embedding : module;
}

std::string biasTensor(const ModelConfig& config, const std::string& module) {
  const HiddenStates states = hiddenStates(config);
  return config.head_bias && module == states.head ? states.head_bias : module + ".bias";
}

std::string blockResult(const ModelConfig& config, uint32_t layer) {
  if (config.block == BlockKind::kBert) return encoderNames(config, layer).inner_norm + ".output";
  if (config.norms_after) return blockName(config, layer) + ".post_feedforward_layernorm.add.output";
  if (config.hasExperts(layer)) return expertNames(config, layer).mlp + "mix.sum";
  return hiddenWriters(config, layer).back() + ".sum";
}

std::vector<std::string> hiddenWriters(const ModelConfig& config, uint32_t layer) {
  const std::vector<std::vector<std::string>> layers = linearLayers(config, layer);
  if (layers.size() < 4) return {layers[1].front()};
  return {layers[1].front(), layers[3].front()};
}

}  // namespace nib::model
