// Blocks of encoders: layer norms, a layer each for queries, keys and values, biases everywhere, and no gate.
#include "model/arch/blocks.h"

namespace nib::model {

using graph::Graph;
using graph::ValueId;

EncoderNames encoderNames(const ModelConfig& config, uint32_t layer) {
  const std::string block = blockName(config, layer);
  if (config.block == BlockKind::kClip) {
    const std::string self = block + ".self_attn.";
    return {self + "q_proj",        self + "k_proj",    self + "v_proj",    self + "attention",    self + "out_proj",
            block + ".layer_norm1", block + ".mlp.fc1", block + ".mlp.fc2", block + ".layer_norm2"};
  }
  const bool before = config.block == BlockKind::kVit;
  const std::string self = block + (before ? ".attention.attention." : ".attention.self.");
  return {self + "query",
          self + "key",
          self + "value",
          self + "attention",
          block + ".attention.output.dense",
          block + (before ? ".layernorm_before" : ".attention.output.LayerNorm"),
          block + ".intermediate.dense",
          block + ".output.dense",
          block + (before ? ".layernorm_after" : ".output.LayerNorm")};
}

namespace {

// A layer whose results are added to the hidden states.
ValueId addWriter(Graph& graph, const ModelConfig& config, const BodyOptions& options, ValueId input,
                  const std::string& name, ValueId hidden) {
  graph::Linear layer = linearOf(options.storage, name, config.hidden);
  layer.bias = true;
  layer.add_to = hidden;
  return graph::linear(graph, input, name, layer);
}

// x * sigmoid(1.702 x) = x / 2 * (1 + tanh(0.851 x)), in place.
ValueId addQuickGelu(Graph& graph, ValueId x, const std::string& name) {
  constexpr float kHalf = 0.851f;
  ValueId t = graph::copy(graph, x, name + ".copy");
  t = graph::cap(graph, t, name + ".tanh", 1 / kHalf);
  t = graph::scale(graph, t, name + ".tanh_scale", kHalf);
  t = graph::gated(graph, t, x, name + ".product", NIB_ACTIVATION_NONE);
  return graph::scale(graph, graph::add(graph, x, t, name + ".sum"), name + ".half", 0.5f);
}

ValueId addAttention(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                     uint32_t layer, const EncoderNames& names, ValueId input, ValueId hidden) {
  const auto heads = [&](const std::string& name) {
    graph::Linear linear = linearOf(options.storage, name, config.hidden);
    linear.bias = config.query_bias;
    return graph::linear(graph, input, name, linear);
  };
  const ValueId queries = heads(names.query), keys = heads(names.key), values = heads(names.value);
  const ValueId attended = attend(graph, config, options, inputs, layer, queries, keys, values, names.attention);
  return addWriter(graph, config, options, attended, names.output, hidden);
}

ValueId addInner(Graph& graph, const ModelConfig& config, const BodyOptions& options, const EncoderNames& names,
                 ValueId input, ValueId hidden) {
  graph::Linear up = linearOf(options.storage, names.up, config.inner);
  up.bias = true;
  up.activation = config.activation;
  ValueId inner = graph::linear(graph, input, names.up, up);
  if (config.quick_gelu) inner = addQuickGelu(graph, inner, names.up + ".quick_gelu");
  return addWriter(graph, config, options, inner, names.down, hidden);
}

}  // namespace

ValueId addEncoderBlock(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                        uint32_t layer, ValueId hidden) {
  const EncoderNames names = encoderNames(config, layer);
  const bool before = config.block != BlockKind::kBert;
  ValueId input = before ? addNorm(graph, config, hidden, names.attention_norm) : hidden;
  hidden = addAttention(graph, config, options, inputs, layer, names, input, hidden);
  if (!before) hidden = addNorm(graph, config, hidden, names.attention_norm);
  input = before ? addNorm(graph, config, hidden, names.inner_norm) : hidden;
  hidden = addInner(graph, config, options, names, input, hidden);
  return before ? hidden : addNorm(graph, config, hidden, names.inner_norm);
}

}  // namespace nib::model
