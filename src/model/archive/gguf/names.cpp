#include "model/archive/gguf/names.h"

#include <algorithm>
#include <charconv>

namespace nib::model {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;
constexpr Pair kGlobal[] = {{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};
// llama, mistral, qwen2, qwen3
constexpr Pair kDense[] = {{"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
                           {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
                           {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
                           {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
                           {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
                           {"mlp.down_proj", "ffn_down"}};
constexpr Pair kMixtral[] = {{"input_layernorm", "attn_norm"},
                             {"self_attn.q_proj", "attn_q"},
                             {"self_attn.k_proj", "attn_k"},
                             {"self_attn.v_proj", "attn_v"},
                             {"self_attn.o_proj", "attn_output"},
                             {"post_attention_layernorm", "ffn_norm"},
                             {"block_sparse_moe.gate", "ffn_gate_inp"},
                             {"block_sparse_moe.experts.*.w1", "ffn_gate_exps"},
                             {"block_sparse_moe.experts.*.w3", "ffn_up_exps"},
                             {"block_sparse_moe.experts.*.w2", "ffn_down_exps"}};
constexpr Pair kGemma2[] = {{"input_layernorm", "attn_norm"},
                            {"self_attn.q_proj", "attn_q"},
                            {"self_attn.k_proj", "attn_k"},
                            {"self_attn.v_proj", "attn_v"},
                            {"self_attn.o_proj", "attn_output"},
                            {"post_attention_layernorm", "post_attention_norm"},
                            {"pre_feedforward_layernorm", "ffn_norm"},
                            {"mlp.gate_proj", "ffn_gate"},
                            {"mlp.up_proj", "ffn_up"},
                            {"mlp.down_proj", "ffn_down"},
                            {"post_feedforward_layernorm", "post_ffw_norm"}};
constexpr Pair kGemma3[] = {{"input_layernorm", "attn_norm"},
                            {"self_attn.q_proj", "attn_q"},
                            {"self_attn.k_proj", "attn_k"},
                            {"self_attn.v_proj", "attn_v"},
                            {"self_attn.o_proj", "attn_output"},
                            {"self_attn.q_norm", "attn_q_norm"},
                            {"self_attn.k_norm", "attn_k_norm"},
                            {"post_attention_layernorm", "post_attention_norm"},
                            {"pre_feedforward_layernorm", "ffn_norm"},
                            {"mlp.gate_proj", "ffn_gate"},
                            {"mlp.up_proj", "ffn_up"},
                            {"mlp.down_proj", "ffn_down"},
                            {"post_feedforward_layernorm", "post_ffw_norm"}};
constexpr Pair kOlmo2[] = {{"self_attn.q_proj", "attn_q"},
                           {"self_attn.k_proj", "attn_k"},
                           {"self_attn.v_proj", "attn_v"},
                           {"self_attn.o_proj", "attn_output"},
                           {"self_attn.q_norm", "attn_q_norm"},
                           {"self_attn.k_norm", "attn_k_norm"},
                           {"post_attention_layernorm", "post_attention_norm"},
                           {"mlp.gate_proj", "ffn_gate"},
                           {"mlp.up_proj", "ffn_up"},
                           {"mlp.down_proj", "ffn_down"},
                           {"post_feedforward_layernorm", "post_ffw_norm"}};
// ffn_up holds gate and up.
constexpr Pair kPhi3[] = {{"input_layernorm", "attn_norm"},    {"self_attn.qkv_proj", "attn_qkv"},
                          {"self_attn.o_proj", "attn_output"}, {"post_attention_layernorm", "ffn_norm"},
                          {"mlp.gate_up_proj", "ffn_up"},      {"mlp.down_proj", "ffn_down"}};

constexpr GgufFamily kFamilies[] = {{"llama", "llama", kDense, true},
                                    {"mistral", "llama", kDense, true},
                                    {"qwen2", "qwen2", kDense},
                                    {"qwen3", "qwen3", kDense},
                                    {"mixtral", "llama", kMixtral, true, true},
                                    {"gemma2", "gemma2", kGemma2, false, false, 1},
                                    {"gemma3_text", "gemma3", kGemma3, false, false, 1},
                                    {"olmo2", "olmo2", kOlmo2},
                                    {"phi3", "phi3", kPhi3}};

constexpr std::string_view kLayers = "model.layers.", kBlocks = "blk.";

std::optional<uint32_t> numberOf(std::string_view text) {
  uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, number);
  const bool whole = result.ec == std::errc() && result.ptr == end && text.size() <= 9;
  return whole && (text.size() == 1 || text[0] != '0') ? std::optional(number) : std::nullopt;
}

// The number for which `text` has the '*' of `pattern`; 0 if there is none. None if they differ.
std::optional<uint32_t> match(std::string_view pattern, std::string_view text, bool* has_number) {
  const size_t star = pattern.find('*');
  *has_number = star != pattern.npos;
  if (!*has_number) return pattern == text ? std::optional(0u) : std::nullopt;
  const std::string_view head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  if (text.size() <= head.size() + tail.size() || !text.starts_with(head) || !text.ends_with(tail)) return std::nullopt;
  return numberOf(text.substr(star, text.size() - head.size() - tail.size()));
}

struct NameParts {
  std::string_view layer;  // "0"; empty if the module is in no block
  std::string_view module;
  std::string_view ending;  // ".weight"
};

// None if the name is none of a model.
std::optional<NameParts> partsOf(std::string_view name, std::string_view prefix) {
  const size_t dot = name.rfind('.');
  if (dot == name.npos) return std::nullopt;
  NameParts parts{{}, name.substr(0, dot), name.substr(dot)};
  if (parts.ending != ".weight" && parts.ending != ".bias") return std::nullopt;
  if (!parts.module.starts_with(prefix)) return parts;
  parts.module.remove_prefix(prefix.size());
  const size_t end = parts.module.find('.');
  if (end == parts.module.npos) return std::nullopt;
  parts.layer = parts.module.substr(0, end);
  parts.module.remove_prefix(end + 1);
  return numberOf(parts.layer) ? std::optional(parts) : std::nullopt;
}

std::string joined(std::string_view prefix, const NameParts& parts, std::string_view module) {
  const std::string ending(parts.ending);
  if (parts.layer.empty()) return std::string(module) + ending;
  return std::string(prefix) + std::string(parts.layer) + '.' + std::string(module) + ending;
}

}  // namespace

std::span<const GgufFamily> ggufFamilies() { return kFamilies; }

std::string ggufFamilyNames() {
  std::string names;
  for (const GgufFamily& family : kFamilies) names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  return names;
}

std::optional<GgufPlace> ggufPlace(const GgufFamily& family, std::string_view name) {
  const std::optional<NameParts> parts = partsOf(name, kLayers);
  if (!parts) return std::nullopt;
  for (const Pair& pair : parts->layer.empty() ? GgufModuleNames(kGlobal) : family.block) {
    bool has_number = false;
    const std::optional<uint32_t> number = match(pair.first, parts->module, &has_number);
    if (!number) continue;
    return GgufPlace{joined(kBlocks, *parts, pair.second), has_number ? number : std::nullopt};
  }
  return std::nullopt;
}

std::optional<std::string> nameOfGguf(const GgufFamily& family, const GgufPlace& place) {
  const std::optional<NameParts> parts = partsOf(place.name, kBlocks);
  if (!parts) return std::nullopt;
  for (const Pair& pair : parts->layer.empty() ? GgufModuleNames(kGlobal) : family.block) {
    if (pair.second != parts->module) continue;
    const size_t star = pair.first.find('*');
    if ((star != pair.first.npos) != place.expert.has_value()) return std::nullopt;
    std::string module(pair.first);
    if (place.expert) module.replace(star, 1, std::to_string(*place.expert));
    return joined(kLayers, *parts, module);
  }
  return std::nullopt;
}

bool isExpertStack(std::string_view gguf_name) { return gguf_name.ends_with("_exps.weight"); }

HeadRows headRowsOf(std::string_view name) {
  const auto ends = [&](std::string_view module) {
    return name.ends_with(std::string(module) + ".weight") || name.ends_with(std::string(module) + ".bias");
  };
  return ends(".self_attn.q_proj") ? HeadRows::kQuery : ends(".self_attn.k_proj") ? HeadRows::kKey : HeadRows::kNone;
}

}  // namespace nib::model
