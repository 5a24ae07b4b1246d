#include "model/archive/gguf/names.h"

#include <algorithm>
#include <utility>

namespace nib::model {
namespace {

constexpr GgufFamily kFamilies[] = {
    {"llama", "llama", true}, {"mistral", "llama", true}, {"qwen2", "qwen2", false}, {"qwen3", "qwen3", false}};

using Pair = std::pair<std::string_view, std::string_view>;
constexpr Pair kGlobal[] = {{"model.embed_tokens", "token_embd"}, {"model.norm", "output_norm"}, {"lm_head", "output"}};
constexpr Pair kBlock[] = {{"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
                           {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
                           {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
                           {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
                           {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
                           {"mlp.down_proj", "ffn_down"}};
constexpr std::string_view kLayers = "model.layers.", kBlocks = "blk.";

// Replaces the module of a name, of which `from` and `to` choose the spelling.
template <class Get, class Put>
std::optional<std::string> translate(std::string_view name, std::string_view prefix, std::string_view new_prefix,
                                     const Get& from, const Put& to) {
  const size_t dot = name.rfind('.');
  if (dot == name.npos) return std::nullopt;
  const std::string_view ending = name.substr(dot);
  if (ending != ".weight" && ending != ".bias") return std::nullopt;
  std::string_view module = name.substr(0, dot);
  const auto find = [&](const auto& table) -> std::optional<std::string> {
    for (const Pair& pair : table) {
      if (from(pair) == module) return std::string(to(pair));
    }
    return std::nullopt;
  };
  if (!module.starts_with(prefix)) {
    const std::optional<std::string> found = find(kGlobal);
    return found ? std::optional(*found + std::string(ending)) : std::nullopt;
  }
  module.remove_prefix(prefix.size());
  const size_t end = module.find('.');
  if (end == module.npos || end == 0) return std::nullopt;
  const std::string_view number = module.substr(0, end);
  const bool digits = std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || number.size() > 9 || (number.size() > 1 && number[0] == '0')) return std::nullopt;
  module.remove_prefix(end + 1);
  const std::optional<std::string> found = find(kBlock);
  if (!found) return std::nullopt;
  return std::string(new_prefix) + std::string(number) + '.' + *found + std::string(ending);
}

}  // namespace

std::span<const GgufFamily> ggufFamilies() { return kFamilies; }

std::string ggufFamilyNames() {
  std::string names;
  for (const GgufFamily& family : kFamilies) names += (names.empty() ? "" : ", ") + std::string(family.model_type);
  return names;
}

std::optional<std::string> ggufName(std::string_view name) {
  return translate(
      name, kLayers, kBlocks, [](const Pair& pair) { return pair.first; },
      [](const Pair& pair) { return pair.second; });
}

std::optional<std::string> nameOfGguf(std::string_view name) {
  return translate(
      name, kBlocks, kLayers, [](const Pair& pair) { return pair.second; },
      [](const Pair& pair) { return pair.first; });
}

HeadRows headRowsOf(std::string_view name) {
  const auto ends = [&](std::string_view module) {
    return name.ends_with(std::string(module) + ".weight") || name.ends_with(std::string(module) + ".bias");
  };
  return ends(".self_attn.q_proj") ? HeadRows::kQuery : ends(".self_attn.k_proj") ? HeadRows::kKey : HeadRows::kNone;
}

}  // namespace nib::model
