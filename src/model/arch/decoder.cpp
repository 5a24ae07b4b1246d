#include "model/arch/decoder.h"

#include "model/arch/blocks.h"
#include "model/archive/error.h"

#include <algorithm>
#include <cmath>

namespace nib::model {

using graph::Graph;
using graph::ValueId;

namespace {

// The memory values of tables of the rotary embedding.
constexpr const char* kRope = "rope";
constexpr const char* kWindowRope = "rope.window";

bool hasWindowRope(const ModelConfig& config, uint32_t layer) {
  return config.window_rope && config.window[layer] != 0;
}

BlockInputs addInputs(Graph& graph, const ModelConfig& config) {
  BlockInputs inputs;
  inputs.positions = graph.input("positions", graph::ids());
  inputs.cache_rows = graph.input("cache_rows", graph::ids());
  for (const uint32_t window : windowsOf(config)) {
    inputs.visible.push_back(graph.input(visibleName(window), graph::ids(4)));
  }
  return inputs;
}

ValueId embedTokens(Graph& graph, const ModelConfig& config, const BodyOptions& options, ValueId ids,
                    ValueId positions) {
  const HiddenStates states = hiddenStates(config);
  const std::string& module = states.embedding;
  const auto embed = [&](ValueId numbers, const std::string& name, uint32_t rows) {
    return graph::embed(graph, numbers, name,
                        {.rows = rows, .cols = config.hidden, .weights = options.storage(name).weights});
  };
  ValueId hidden = embed(ids, module, config.vocabulary);
  if (config.embedding_scale != 1) hidden = graph::scale(graph, hidden, module + ".scale", config.embedding_scale);
  const auto addRowsOf = [&](const std::string& table, ValueId numbers, uint32_t rows) {
    hidden = graph::add(graph, hidden, embed(numbers, table, rows), table + ".add");
  };
  if (config.token_types != 0) addRowsOf(states.types, graph.input("token_types", graph::ids()), config.token_types);
  if (config.learned_positions != 0) addRowsOf(states.positions, positions, config.learned_positions);
  return states.embedding_norm.empty() ? hidden : addNorm(graph, config, hidden, states.embedding_norm);
}

// The table of positions holds what a position adds to its patch: the token for the whole, or the layer's bias, too.
ValueId embedPatches(Graph& graph, const ModelConfig& config, const BodyOptions& options, ValueId positions) {
  const HiddenStates states = hiddenStates(config);
  const ValueId patches = graph.input("patches", graph::dense(NIB_TYPE_F32, config.image->patchElements()));
  ValueId hidden =
      graph::linear(graph, patches, states.embedding, linearOf(options.storage, states.embedding, config.hidden));
  const ValueId rows = graph::embed(graph, positions, states.positions,
                                    {.rows = config.image->patches() + 1, .cols = config.hidden, .weights = {}});
  hidden = graph::add(graph, hidden, rows, states.positions + ".add");
  return states.embedding_norm.empty() ? hidden : addNorm(graph, config, hidden, states.embedding_norm);
}

ValueId addBlock(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
                 uint32_t layer, ValueId hidden) {
  const auto add = config.block == BlockKind::kGated ? &addGatedBlock
                   : isEncoderBlock(config.block)    ? &addEncoderBlock
                                                     : &addGptBlock;
  return add(graph, config, options, inputs, layer, hidden);
}

// The hidden states after the last layer. ids: none = those of images.
ValueId addBody(Graph& graph, const ModelConfig& config, const BodyOptions& options, ValueId ids) {
  const BlockInputs inputs = addInputs(graph, config);
  ValueId hidden = config.image ? embedPatches(graph, config, options, inputs.positions)
                                : embedTokens(graph, config, options, ids, inputs.positions);
  for (uint32_t layer = 0; layer < config.layers; ++layer) {
    hidden = addBlock(graph, config, options, inputs, layer, hidden);
  }
  const std::string norm = hiddenStates(config).body_norm;
  return norm.empty() ? hidden : addNorm(graph, config, hidden, norm);
}

ValueId addHead(Graph& graph, const ModelConfig& config, const StorageOf& storage, ValueId hidden) {
  const HiddenStates states = hiddenStates(config);
  if (!states.transform.empty()) {
    graph::Linear transform = linearOf(storage, states.transform, config.hidden);
    transform.bias = true;
    transform.activation = config.head_activation;
    hidden = graph::linear(graph, hidden, states.transform, transform);
  }
  const ValueId normed = states.norm.empty() ? hidden : addNorm(graph, config, hidden, states.norm);
  // A head with a bias has memory of its own, which holds that too.
  graph::Linear head =
      linearOf(storage, config.head_bias ? states.head : matrixModule(config, states.head), config.vocabulary);
  head.bias = config.head_bias;
  const ValueId logits = graph::linear(graph, normed, states.head, head);
  return config.logit_cap == 0 ? logits : graph::cap(graph, logits, states.head + ".cap", config.logit_cap);
}

ValueId addPooler(Graph& graph, const ModelConfig& config, const StorageOf& storage, ValueId hidden) {
  const HiddenStates states = hiddenStates(config);
  const std::string& module = states.pooler;
  if (module.empty()) return addNorm(graph, config, hidden, states.norm);
  graph::Linear layer = linearOf(storage, module, config.hidden);
  layer.bias = true;
  // tanh
  return graph::cap(graph, graph::linear(graph, hidden, module, layer), module + ".tanh", 1);
}

}  // namespace

graph::Linear linearOf(const StorageOf& storage, const std::string& module, uint32_t rows) {
  const Storage stored = storage(module);
  return {.rows = rows,
          .weights = stored.weights,
          .memory = module,
          .input = stored.input,
          .outlier_threshold = stored.outlier_threshold};
}

ValueId addNorm(Graph& graph, const ModelConfig& config, ValueId input, const std::string& name) {
  const bool layer_norm = config.block != BlockKind::kGated;
  return graph::norm(graph, input, name, {.epsilon = config.epsilon, .mean = layer_norm, .bias = layer_norm});
}

ValueId rotate(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
               uint32_t layer, ValueId heads, uint32_t count, const std::string& name) {
  const bool windowed = hasWindowRope(config, layer);
  return graph::rope(graph, heads, inputs.positions, name,
                     {.heads = count,
                      .head_size = config.head_size,
                      .rotary_size = (windowed ? *config.window_rope : config.rope).rotary_size,
                      .positions = options.positions,
                      .table = windowed ? kWindowRope : kRope});
}

ValueId attend(Graph& graph, const ModelConfig& config, const BodyOptions& options, const BlockInputs& inputs,
               uint32_t layer, ValueId queries, ValueId keys, ValueId values, const std::string& name) {
  const std::vector<uint32_t> windows = windowsOf(config);
  const size_t window = size_t(std::find(windows.begin(), windows.end(), config.window[layer]) - windows.begin());
  if (options.rotate_heads) {
    queries = graph::hadamard(graph, queries, name + ".queries.hadamard", {config.head_size, ""});
    keys = graph::hadamard(graph, keys, name + ".keys.hadamard", {config.head_size, ""});
  }
  float scale = config.attention_scale;
  if (config.layer_attention_scale) {
    scale = (scale != 0 ? scale : 1 / std::sqrt(float(config.head_size))) / float(layer + 1);
  }
  return graph::attention(graph, {queries, keys, values, inputs.cache_rows, inputs.visible[window]}, name,
                          {.heads = config.heads,
                           .key_heads = config.key_heads,
                           .head_size = config.head_size,
                           .cache_rows = options.cache_rows,
                           .cache = options.cache,
                           .scale = scale,
                           .cap = config.attention_cap});
}

ValueId spreadInner(Graph& graph, const ModelConfig& config, ValueId inner, const std::string& name) {
  return config.inner_hadamard == 0 ? inner : graph::hadamard(graph, inner, name, {config.inner_hadamard, ""});
}

std::vector<float> ropeTable(const ModelConfig& config, const std::string& name, uint32_t positions) {
  if (name != kRope && name != kWindowRope) return {};
  const RopeConfig& rope = name == kWindowRope ? *config.window_rope : config.rope;
  const RopeFrequencies frequencies = ropeFrequencies(rope, positions);
  std::vector<float> table(size_t(positions) * rope.rotary_size);
  if (nibFillRopeTable(frequencies.frequency.data(), rope.rotary_size, frequencies.factor, 0, positions, table.data(),
                       nullptr) != NIB_SUCCESS) {
    throw Error("the table of the rotary embedding cannot be made");
  }
  return table;
}

std::vector<uint32_t> windowsOf(const ModelConfig& config) {
  std::vector<uint32_t> windows = config.window;
  std::sort(windows.begin(), windows.end());
  windows.erase(std::unique(windows.begin(), windows.end()), windows.end());
  return windows;
}

void checkLearnedPositions(const ModelConfig& config, uint32_t positions) {
  const uint32_t learned = config.learned_positions - config.position_offset;
  if (config.learned_positions == 0 || positions <= learned) return;
  throw Error("a sequence of " + std::to_string(positions) + " tokens exceeds the " + std::to_string(learned) +
              " positions that the model has learned");
}

std::string visibleName(uint32_t window) { return window == 0 ? "visible" : "visible." + std::to_string(window); }

Graph bodyGraph(const ModelConfig& config, const BodyOptions& options) {
  Graph graph(options.max_tokens);
  const ValueId ids = config.image ? graph::kNoValue : graph.input("ids", graph::ids());
  const ValueId hidden = addBody(graph, config, options, ids);
  graph.keep(graph.view(kHidden, hidden, graph.value(hidden).shape));
  return graph;
}

Graph blockGraph(const ModelConfig& config, const BodyOptions& options, uint32_t layer) {
  Graph graph(options.max_tokens);
  const ValueId input = graph.input(kBlockInput, graph::dense(NIB_TYPE_F32, config.hidden));
  const BlockInputs inputs = addInputs(graph, config);
  const ValueId hidden = addBlock(graph, config, options, inputs, layer, input);
  graph.keep(graph.view(kHidden, hidden, graph.value(hidden).shape));
  return graph;
}

Graph embeddingGraph(const ModelConfig& config, const BodyOptions& options) {
  Graph graph(options.max_tokens);
  const ValueId ids = graph.input("ids", graph::ids());
  const ValueId positions = config.learned_positions != 0 ? graph.input("positions", graph::ids()) : graph::kNoValue;
  const ValueId hidden = embedTokens(graph, config, options, ids, positions);
  graph.keep(graph.view(kHidden, hidden, graph.value(hidden).shape));
  return graph;
}

Graph headGraph(const ModelConfig& config, const HeadOptions& options) {
  Graph graph(options.max_rows);
  const ValueId rows = graph.input("rows", graph::ids());
  const ValueId hidden =
      graph::embed(graph, rows, kHidden, {.rows = options.hidden_rows, .cols = config.hidden, .weights = {}});
  if (options.pooled) {
    const ValueId pooled = addPooler(graph, config, options.storage, hidden);
    graph.keep(graph.view("pooled", pooled, graph.value(pooled).shape));
    return graph;
  }
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
