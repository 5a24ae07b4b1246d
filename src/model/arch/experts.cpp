// Mixtures of experts in place of a block's gated layers (arXiv 1701.06538, 2401.04088): a router's logits choose some
// of the experts for each token, whose outputs are added up with weights from these logits.
#include "model/arch/blocks.h"

namespace nib::model {

using graph::Graph;
using graph::ValueId;

namespace {

// A layer of all experts. "*" of its name stands for the number of an expert.
graph::Experts expertsOf(const ModelConfig& config, const BodyOptions& options, const std::string& module,
                         uint32_t rows) {
  const Storage stored = options.storage(module);
  return {.rows = rows, .experts = config.experts.count, .weights = stored.weights, .input = stored.input};
}

// The output of an expert that all tokens pass, times the sigmoid of a gate of its own.
ValueId addShared(Graph& graph, const ModelConfig& config, const BodyOptions& options, const std::string& mlp,
                  ValueId input, ValueId hidden) {
  const std::string shared = mlp + "shared_expert.";
  const auto linear = [&](ValueId from, const std::string& module, uint32_t rows) {
    return graph::linear(graph, from, module, linearOf(options.storage, module, rows));
  };
  const ValueId gate = linear(input, shared + "gate_proj", config.experts.shared_inner);
  const ValueId up = linear(input, shared + "up_proj", config.experts.shared_inner);
  const ValueId inner = graph::gated(graph, gate, up, shared + "gated", config.activation);
  const ValueId output = linear(inner, shared + "down_proj", config.hidden);
  const ValueId share = linear(input, mlp + "shared_expert_gate", 1);
  return graph::mix(graph, output, share, graph::kNoValue, shared + "mix", NIB_MIX_SIGMOID, hidden);
}

}  // namespace

ExpertNames expertNames(const ModelConfig& config, uint32_t layer) {
  const std::string block = blockName(config, layer);
  const std::string mlp = block + (config.experts.mixtral_names ? ".block_sparse_moe." : ".mlp.");
  const std::string each = mlp + "experts.*.";
  if (config.experts.mixtral_names) return {mlp, each + "w1", each + "w3", each + "w2"};
  return {mlp, each + "gate_proj", each + "up_proj", each + "down_proj"};
}

ValueId addExperts(Graph& graph, const ModelConfig& config, const BodyOptions& options, uint32_t layer,
                   ValueId hidden) {
  const ExpertsConfig& experts = config.experts;
  const ExpertNames names = expertNames(config, layer);
  const ValueId input = addNorm(graph, config, hidden, blockName(config, layer) + ".post_attention_layernorm");
  const std::string router = names.mlp + "gate";
  const ValueId logits = graph::linear(graph, input, router, linearOf(options.storage, router, experts.count));
  const graph::Selected chosen = graph::select(graph, logits, names.mlp + "choice", experts.chosen);
  const auto byChoice = [&](ValueId from, const std::string& module, uint32_t rows) {
    return graph::experts(graph, from, chosen.ids, module, expertsOf(config, options, module, rows));
  };
  const ValueId gate = byChoice(input, names.gate, experts.inner), up = byChoice(input, names.up, experts.inner);
  const ValueId inner = graph::gated(graph, gate, up, names.mlp + "gated", config.activation);
  const ValueId outputs = byChoice(inner, names.down, config.hidden);
  if (experts.shared_inner != 0) hidden = addShared(graph, config, options, names.mlp, input, hidden);
  return graph::mix(graph, outputs, chosen.logits, chosen.log_sum, names.mlp + "mix",
                    experts.normalized ? NIB_MIX_SOFTMAX_CHOSEN : NIB_MIX_SOFTMAX_ALL, hidden);
}

}  // namespace nib::model
