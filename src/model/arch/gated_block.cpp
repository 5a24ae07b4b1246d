// Blocks of decoders with RMS norms, rotary embedding and gated layers: Llama and its kin.
#include "model/arch/blocks.h"

namespace nib::model {
namespace {

using graph::Graph;
using graph::ValueId;

struct Heads {
  ValueId queries, keys, values;
};

ValueId normedQueries(Graph& graph, const ModelConfig& config, ValueId value, uint32_t heads, const std::string& name) {
  if (config.query_norms == QueryNorms::kRows) return addNorm(graph, config, value, name);
  const graph::Shape by_head = graph::dense(NIB_TYPE_F32, config.head_size, heads);
  const ValueId rows = graph.view(name + ".heads", value, by_head);
  const ValueId normed = addNorm(graph, config, rows, name);
  return graph.view(name + ".tokens", normed, graph::dense(NIB_TYPE_F32, config.head_size * heads));
}

Heads projectHeads(Graph& graph, const ModelConfig& config, const BodyOptions& options, const std::string& self,
                   ValueId input) {
  const uint32_t width = config.heads * config.head_size, key_width = config.key_heads * config.head_size;
  const auto project = [&](const char* name, uint32_t rows) {
    graph::Linear layer = linearOf(options.storage, self + name, rows);
    layer.bias = config.query_bias;
    return graph::linear(graph, input, self + name, layer);
  };
  if (!config.fused) return {project("q_proj", width), project("k_proj", key_width), project("v_proj", key_width)};
  const ValueId all = project("qkv_proj", width + 2 * key_width);
  return {graph.part(self + "queries", all, 0, width), graph.part(self + "keys", all, width, key_width),
          graph.part(self + "values", all, width + key_width, key_width)};
}

// Adds what a layer makes to the hidden states; a norm behind the layer comes first.
ValueId addTo(Graph& graph, const ModelConfig& config, ValueId hidden, ValueId input, const std::string& module,
              graph::Linear layer, const std::string& norm) {
  if (!config.norms_after) {
    layer.add_to = hidden;
    return graph::linear(graph, input, module, layer);
  }
  const ValueId made = graph::linear(graph, input, module, layer);
  return graph::add(graph, hidden, addNorm(graph, config, made, norm), norm + ".add");
}

ValueId addAttention(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                     uint32_t layer, ValueId hidden) {
  const std::string block = blockName(config, layer), self = block + ".self_attn.";
  const ValueId input = config.norms_before ? addNorm(graph, config, hidden, block + ".input_layernorm") : hidden;
  auto [queries, keys, values] = projectHeads(graph, config, options, self, input);
  if (config.query_norms != QueryNorms::kNone) {
    queries = normedQueries(graph, config, queries, config.heads, self + "q_norm");
    keys = normedQueries(graph, config, keys, config.key_heads, self + "k_norm");
  }
  queries = rotate(graph, config, options, inputs, layer, queries, config.heads, self + "q_rope");
  keys = rotate(graph, config, options, inputs, layer, keys, config.key_heads, self + "k_rope");
  const ValueId attended = attend(graph, config, options, inputs, layer, queries, keys, values, self + "attention");
  graph::Linear output = linearOf(options.storage, self + "o_proj", config.hidden);
  output.bias = config.output_bias;
  return addTo(graph, config, hidden, attended, self + "o_proj", output, block + ".post_attention_layernorm");
}

ValueId addGated(Graph& graph, const ModelConfig& config, const BodyOptions& options, uint32_t layer, ValueId hidden) {
  const std::string block = blockName(config, layer), mlp = block + ".mlp.";
  const char* const before = config.norms_after ? ".pre_feedforward_layernorm" : ".post_attention_layernorm";
  const ValueId input = config.norms_before ? addNorm(graph, config, hidden, block + before) : hidden;
  const auto project = [&](const char* name, uint32_t rows) {
    graph::Linear layer = linearOf(options.storage, mlp + name, rows);
    layer.bias = config.inner_bias;
    return graph::linear(graph, input, mlp + name, layer);
  };
  ValueId inner;
  if (config.fused) {
    inner = graph::gatedHalves(graph, project("gate_up_proj", 2 * config.inner), mlp + "gated", config.activation);
  } else {
    const ValueId gate = project("gate_proj", config.inner), up = project("up_proj", config.inner);
    inner = graph::gated(graph, gate, up, mlp + "gated", config.activation);
  }
  inner = spreadInner(graph, config, inner, mlp + "hadamard");
  graph::Linear down = linearOf(options.storage, mlp + "down_proj", config.hidden);
  down.bias = config.inner_bias;
  return addTo(graph, config, hidden, inner, mlp + "down_proj", down, block + ".post_feedforward_layernorm");
}

}  // namespace

ValueId addGatedBlock(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                      uint32_t layer, ValueId hidden) {
  hidden = addAttention(graph, config, options, inputs, layer, hidden);
  if (config.hasExperts(layer)) return addExperts(graph, config, options, layer, hidden);
  return addGated(graph, config, options, layer, hidden);
}

}  // namespace nib::model
