#include "model/arch/decoder.h"

#include <algorithm>

namespace nib::model {
namespace {

using graph::Graph;
using graph::ValueId;

graph::Linear linearOf(const StorageOf& storage, const std::string& module, uint32_t rows) {
  const Storage stored = storage(module);
  return {.rows = rows,
          .weights = stored.weights,
          .memory = module,
          .input = stored.input,
          .outlier_threshold = stored.outlier_threshold};
}

struct Inputs {
  ValueId positions, cache_rows;
  std::vector<ValueId> visible;  // by window
};

ValueId normedHeads(Graph& graph, const ModelConfig& config, ValueId value, uint32_t heads, const std::string& name) {
  const graph::Shape by_head = graph::dense(NIB_TYPE_F32, config.head_size, heads);
  const ValueId rows = graph.view(name + ".heads", value, by_head);
  const ValueId normed = graph::norm(graph, rows, name, {.epsilon = config.epsilon});
  return graph.view(name + ".tokens", normed, graph::dense(NIB_TYPE_F32, config.head_size * heads));
}

// The attention of a layer, added to the hidden states.
ValueId attend(Graph& graph, const ModelConfig& config, const BodyOptions& options, const Inputs& inputs,
               uint32_t layer, ValueId hidden) {
  const std::string block = "model.layers." + std::to_string(layer), self = block + ".self_attn.";
  const ValueId normed = graph::norm(graph, hidden, block + ".input_layernorm", {.epsilon = config.epsilon});
  const auto project = [&](const char* name, uint32_t heads) {
    graph::Linear layer = linearOf(options.storage, self + name, heads * config.head_size);
    layer.bias = config.query_bias;
    return graph::linear(graph, normed, self + name, layer);
  };
  ValueId queries = project("q_proj", config.heads);
  ValueId keys = project("k_proj", config.key_heads);
  const ValueId values = project("v_proj", config.key_heads);
  if (config.head_norms) {
    queries = normedHeads(graph, config, queries, config.heads, self + "q_norm");
    keys = normedHeads(graph, config, keys, config.key_heads, self + "k_norm");
  }
  graph::Rope rope{.heads = config.heads,
                   .head_size = config.head_size,
                   .rotary_size = config.rope.rotary_size,
                   .positions = options.positions};
  queries = graph::rope(graph, queries, inputs.positions, self + "q_rope", rope);
  rope.heads = config.key_heads;
  keys = graph::rope(graph, keys, inputs.positions, self + "k_rope", rope);
  if (options.rotate_heads) {
    queries = graph::hadamard(graph, queries, self + "q_hadamard", {config.head_size, ""});
    keys = graph::hadamard(graph, keys, self + "k_hadamard", {config.head_size, ""});
  }

  const std::vector<uint32_t> windows = windowsOf(config);
  const size_t window = size_t(std::find(windows.begin(), windows.end(), config.window[layer]) - windows.begin());
  const ValueId attended =
      graph::attention(graph, {queries, keys, values, inputs.cache_rows, inputs.visible[window]}, self + "attention",
                       {.heads = config.heads,
                        .key_heads = config.key_heads,
                        .head_size = config.head_size,
                        .cache_rows = options.cache_rows,
                        .cache = options.cache});
  graph::Linear output = linearOf(options.storage, self + "o_proj", config.hidden);
  output.bias = config.output_bias;
  output.add_to = hidden;
  return graph::linear(graph, attended, self + "o_proj", output);
}

// The gated layers between, added to the hidden states.
ValueId feedForward(Graph& graph, const ModelConfig& config, const BodyOptions& options, uint32_t layer,
                    ValueId hidden) {
  const std::string block = "model.layers." + std::to_string(layer), mlp = block + ".mlp.";
  const ValueId normed = graph::norm(graph, hidden, block + ".post_attention_layernorm", {.epsilon = config.epsilon});
  const auto project = [&](const char* name) {
    graph::Linear layer = linearOf(options.storage, mlp + name, config.inner);
    layer.bias = config.inner_bias;
    return graph::linear(graph, normed, mlp + name, layer);
  };
  const ValueId gate = project("gate_proj"), up = project("up_proj");
  ValueId inner = graph::gated(graph, gate, up, mlp + "gated", config.activation);
  if (config.inner_hadamard != 0) inner = graph::hadamard(graph, inner, mlp + "hadamard", {config.inner_hadamard, ""});
  graph::Linear down = linearOf(options.storage, mlp + "down_proj", config.hidden);
  down.bias = config.inner_bias;
  down.add_to = hidden;
  return graph::linear(graph, inner, mlp + "down_proj", down);
}

Inputs addInputs(Graph& graph, const ModelConfig& config) {
  Inputs inputs;
  inputs.positions = graph.input("positions", graph::ids());
  inputs.cache_rows = graph.input("cache_rows", graph::ids());
  for (const uint32_t window : windowsOf(config)) {
    inputs.visible.push_back(graph.input(visibleName(window), graph::ids(4)));
  }
  return inputs;
}

ValueId embedTokens(Graph& graph, const ModelConfig& config, const BodyOptions& options, ValueId ids) {
  return graph::embed(
      graph, ids, "model.embed_tokens",
      {.rows = config.vocabulary, .cols = config.hidden, .weights = options.storage("model.embed_tokens").weights});
}

// The hidden states after the last layer.
ValueId addBody(Graph& graph, const ModelConfig& config, const BodyOptions& options, ValueId ids) {
  const Inputs inputs = addInputs(graph, config);
  ValueId hidden = embedTokens(graph, config, options, ids);
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    hidden = attend(graph, config, options, inputs, layer, hidden);
    hidden = feedForward(graph, config, options, layer, hidden);
  }
  return hidden;
}

ValueId addHead(Graph& graph, const ModelConfig& config, const StorageOf& storage, ValueId hidden) {
  const ValueId normed = graph::norm(graph, hidden, "model.norm", {.epsilon = config.epsilon});
  const std::string module = config.tied ? "model.embed_tokens" : "lm_head";
  return graph::linear(graph, normed, "lm_head", linearOf(storage, module, config.vocabulary));
}

}  // namespace

std::vector<uint32_t> windowsOf(const ModelConfig& config) {
  std::vector<uint32_t> windows = config.window;
  std::sort(windows.begin(), windows.end());
  windows.erase(std::unique(windows.begin(), windows.end()), windows.end());
  return windows;
}

std::string visibleName(uint32_t window) { return window == 0 ? "visible" : "visible." + std::to_string(window); }

Graph bodyGraph(const ModelConfig& config, const BodyOptions& options) {
  Graph graph(options.max_tokens);
  const ValueId hidden = addBody(graph, config, options, graph.input("ids", graph::ids()));
  graph.keep(graph.view(kHidden, hidden, graph.value(hidden).shape));
  return graph;
}

Graph blockGraph(const ModelConfig& config, const BodyOptions& options, uint32_t layer) {
  Graph graph(options.max_tokens);
  const ValueId input = graph.input(kBlockInput, graph::dense(NIB_TYPE_F32, config.hidden));
  const Inputs inputs = addInputs(graph, config);
  const ValueId hidden =
      feedForward(graph, config, options, layer, attend(graph, config, options, inputs, layer, input));
  graph.keep(graph.view(kHidden, hidden, graph.value(hidden).shape));
  return graph;
}

Graph embeddingGraph(const ModelConfig& config, const BodyOptions& options) {
  Graph graph(options.max_tokens);
  const ValueId hidden = embedTokens(graph, config, options, graph.input("ids", graph::ids()));
  graph.keep(graph.view(kHidden, hidden, graph.value(hidden).shape));
  return graph;
}

std::vector<std::vector<std::string>> linearLayers(const ModelConfig&, uint32_t layer) {
  const std::string block = "model.layers." + std::to_string(layer);
  const std::string self = block + ".self_attn.", mlp = block + ".mlp.";
  return {{self + "q_proj", self + "k_proj", self + "v_proj"},
          {self + "o_proj"},
          {mlp + "gate_proj", mlp + "up_proj"},
          {mlp + "down_proj"}};
}

std::vector<ScaleGroup> scaleGroups(const ModelConfig& config, uint32_t layer) {
  const std::string block = "model.layers." + std::to_string(layer);
  const std::string self = block + ".self_attn.", mlp = block + ".mlp.";
  return {
      {block + ".input_layernorm", true, {self + "q_proj", self + "k_proj", self + "v_proj"}, 0, 1},
      {self + "v_proj", false, {self + "o_proj"}, config.head_size, config.heads / config.key_heads},
      {block + ".post_attention_layernorm", true, {mlp + "gate_proj", mlp + "up_proj"}, 0, 1},
      {mlp + "up_proj", false, {mlp + "down_proj"}, 0, 1},
  };
}

HiddenStates hiddenStates(const ModelConfig&) { return {"model.embed_tokens", "model.norm", "lm_head"}; }

std::vector<std::string> hiddenWriters(const ModelConfig&, uint32_t layer) {
  const std::string block = "model.layers." + std::to_string(layer);
  return {block + ".self_attn.o_proj", block + ".mlp.down_proj"};
}

Graph headGraph(const ModelConfig& config, const HeadOptions& options) {
  Graph graph(options.max_rows);
  const ValueId rows = graph.input("rows", graph::ids());
  const ValueId hidden =
      graph::embed(graph, rows, kHidden, {.rows = options.hidden_rows, .cols = config.hidden, .weights = {}});
  const ValueId logits = addHead(graph, config, options.storage, hidden);
  if (options.losses) {
    const ValueId targets = graph.input("targets", graph::ids());
    const ValueId reference = options.reference ? graph.input("reference", graph.value(logits).shape) : graph::kNoValue;
    const ValueId losses = graph::loss(graph, logits, targets, "losses", reference);
    graph.keep(graph.view("loss", losses, graph.value(losses).shape));
  }
  if (options.select != 0) {
    const ValueId scaled =
        options.temperature == 1 ? logits : graph::scale(graph, logits, "temperature", 1 / options.temperature);
    const graph::Selected selected = graph::select(graph, scaled, "select", options.select);
    graph.keep(selected.logits);
    graph.keep(selected.ids);
    graph.keep(selected.log_sum);
  }
  if (options.logits) graph.keep(graph.view("logits", logits, graph.value(logits).shape));
  return graph;
}

Graph decodeGraph(const ModelConfig& config, const BodyOptions& options) {
  Graph graph(options.max_tokens);
  const ValueId ids = graph.state(kNextIds, graph::ids());
  const ValueId hidden = addBody(graph, config, options, ids);
  const ValueId logits = addHead(graph, config, options.storage, hidden);
  const graph::Selected selected = graph::select(graph, logits, "select", 1, ids);
  graph.keep(selected.logits);
  return graph;
}

}  // namespace nib::model
