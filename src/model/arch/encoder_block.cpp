// Blocks of encoders: layer norms, a layer each for queries, keys and values, biases everywhere, and no gate.
#include "model/arch/blocks.h"

namespace nib::model {

using graph::Graph;
using graph::ValueId;

EncoderNames encoderNames(const ModelConfig& config, uint32_t layer) {
  const std::string block = blockName(config, layer), self = block + ".attention.self.";
  return {self + "query",
          self + "key",
          self + "value",
          self + "attention",
          block + ".attention.output.dense",
          block + ".attention.output.LayerNorm",
          block + ".intermediate.dense",
          block + ".output.dense",
          block + ".output.LayerNorm"};
}

namespace {

ValueId addLinear(Graph& graph, const BodyOptions& options, ValueId input, const std::string& name, uint32_t rows,
                  uint32_t activation = NIB_ACTIVATION_NONE, ValueId add_to = graph::kNoValue) {
  graph::Linear layer = linearOf(options.storage, name, rows);
  layer.bias = true;
  layer.activation = activation;
  layer.add_to = add_to;
  return graph::linear(graph, input, name, layer);
}

}  // namespace

ValueId addEncoderBlock(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                        uint32_t layer, ValueId hidden) {
  const EncoderNames names = encoderNames(config, layer);
  const ValueId queries = addLinear(graph, options, hidden, names.query, config.hidden);
  const ValueId keys = addLinear(graph, options, hidden, names.key, config.hidden);
  const ValueId values = addLinear(graph, options, hidden, names.value, config.hidden);
  const ValueId attended = attend(graph, config, options, inputs, layer, queries, keys, values, names.attention);
  hidden = addLinear(graph, options, attended, names.output, config.hidden, NIB_ACTIVATION_NONE, hidden);
  hidden = addNorm(graph, config, hidden, names.attention_norm);
  const ValueId inner = addLinear(graph, options, hidden, names.up, config.inner, config.activation);
  hidden = addLinear(graph, options, inner, names.down, config.hidden, NIB_ACTIVATION_NONE, hidden);
  return addNorm(graph, config, hidden, names.inner_norm);
}

}  // namespace nib::model
