// Blocks of GPT-2 and GPT-NeoX: layer norms, one layer for queries, keys and values, and no gate.
#include "model/arch/blocks.h"

namespace nib::model {
namespace {

using graph::Graph;
using graph::ValueId;

struct Names {
  std::string attention_norm, attention, projection, output, inner_norm, inner, up, down;
};

Names namesOf(const ModelConfig& config, uint32_t layer) {
  const std::string block = blockName(config, layer);
  if (config.block == BlockKind::kGpt2) {
    return {block + ".ln_1", block + ".attn.", "c_attn", "c_proj", block + ".ln_2", block + ".mlp.", "c_fc", "c_proj"};
  }
  return {block + ".input_layernorm",          block + ".attention.", "query_key_value", "dense",
          block + ".post_attention_layernorm", block + ".mlp.",       "dense_h_to_4h",   "dense_4h_to_h"};
}

// Queries, keys or values: parts number `which` of the rows that the projection makes.
ValueId headsOf(Graph& graph, const ModelConfig& config, ValueId projected, uint32_t which, const std::string& name) {
  if (config.block == BlockKind::kGpt2) {
    return graph.part(name, projected, which * config.hidden, config.hidden);
  }
  // Each head has its own three.
  const ValueId part = graph.part(name + ".part", projected, which * config.head_size, config.head_size);
  return graph.view(name, graph::copy(graph, part, name + ".copy"), graph::dense(NIB_TYPE_F32, config.hidden));
}

ValueId addAttention(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                     uint32_t layer, const Names& names, ValueId input, ValueId hidden) {
  graph::Linear layer_in = linearOf(options.storage, names.attention + names.projection, 3 * config.hidden);
  layer_in.bias = config.query_bias;
  ValueId projected = graph::linear(graph, input, names.attention + names.projection, layer_in);
  if (config.block == BlockKind::kNeox) {
    projected = graph.view(names.attention + "by_head", projected,
                           graph::dense(NIB_TYPE_F32, 3 * config.head_size, config.heads));
  }
  ValueId queries = headsOf(graph, config, projected, 0, names.attention + "queries");
  ValueId keys = headsOf(graph, config, projected, 1, names.attention + "keys");
  const ValueId values = headsOf(graph, config, projected, 2, names.attention + "values");
  if (config.block == BlockKind::kNeox) {
    queries = rotate(graph, config, options, inputs, layer, queries, config.heads, names.attention + "q_rope");
    keys = rotate(graph, config, options, inputs, layer, keys, config.heads, names.attention + "k_rope");
  }
  const ValueId attended =
      attend(graph, config, options, inputs, layer, queries, keys, values, names.attention + "attention");
  graph::Linear output = linearOf(options.storage, names.attention + names.output, config.hidden);
  output.bias = config.output_bias;
  output.add_to = hidden;
  return graph::linear(graph, attended, names.attention + names.output, output);
}

}  // namespace

ValueId addGptBlock(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                    uint32_t layer, ValueId hidden) {
  const Names names = namesOf(config, layer);
  const ValueId attention_input = addNorm(graph, config, hidden, names.attention_norm);
  ValueId inner = graph::kNoValue;
  // Both norms read the hidden states before the block, which attention then overwrites.
  if (config.parallel) inner = addNorm(graph, config, hidden, names.inner_norm);
  hidden = addAttention(graph, config, options, inputs, layer, names, attention_input, hidden);
  if (!config.parallel) inner = addNorm(graph, config, hidden, names.inner_norm);
  graph::Linear up = linearOf(options.storage, names.inner + names.up, config.inner);
  up.bias = config.inner_bias;
  up.activation = config.activation;
  inner = graph::linear(graph, inner, names.inner + names.up, up);
  inner = spreadInner(graph, config, inner, names.inner + "hadamard");
  graph::Linear down = linearOf(options.storage, names.inner + names.down, config.hidden);
  down.bias = config.inner_bias;
  down.add_to = hidden;
  return graph::linear(graph, inner, names.inner + names.down, down);
}

}  // namespace nib::model
