// The graphs of a decoder: token ids to hidden states, and hidden states to logits, losses and choices.
#ifndef NIB_MODEL_ARCH_DECODER_H
#define NIB_MODEL_ARCH_DECODER_H

#include "model/arch/config.h"

#include <nibble/graph.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace nib::model {

// How a weight matrix is stored and its layer's input quantized (graph::Linear), by the name of its module
// ("model.layers.0.mlp.up_proj").
struct Storage {
  NibWeights weights{};
  NibWeights input{};
  float outlier_threshold = 0;
};
using StorageOf = std::function<Storage(const std::string& module)>;

struct BodyOptions {
  uint32_t max_tokens = 1;    // of a step
  uint32_t cache_rows = 0;    // tokens of all sequences together
  uint32_t positions = 0;     // of the longest sequence
  NibWeights cache{};         // of keys and values, dense or quantized (graph::Attention)
  bool rotate_heads = false;  // queries and keys by one Hadamard matrix, which leaves scores as they are
  StorageOf storage;
};

// Inputs (StepInputs): "ids", "positions", "cache_rows" (one number per token), and for each window of the model
// visibleName(window), four numbers per token (NIB_OP_ATTENTION); with token types, "token_types". Result: the hidden
// states, kHidden.
graph::Graph bodyGraph(const ModelConfig& config, const BodyOptions& options);
inline constexpr const char* kHidden = "hidden";
std::string visibleName(uint32_t window);
// The windows of the layers, each once, ascending.
std::vector<uint32_t> windowsOf(const ModelConfig& config);
// The table of the rotary embedding that is a memory value of this name, for texts of `positions` tokens. Empty if the
// name is none of a table. Throws.
std::vector<float> ropeTable(const ModelConfig& config, const std::string& name, uint32_t positions);

// Throws if a sequence of so many tokens exceeds the model's table of learned positions.
void checkLearnedPositions(const ModelConfig& config, uint32_t positions);

// One block of the body: hidden states in, kBlockInput, an input that the block overwrites, and out, kHidden. The other
// inputs are those of bodyGraph.
graph::Graph blockGraph(const ModelConfig& config, const BodyOptions& options, uint32_t layer);
inline constexpr const char* kBlockInput = "block_input";
// The embedding alone: "ids", with learned positions "positions", and with token types "token_types", to kHidden.
graph::Graph embeddingGraph(const ModelConfig& config, const BodyOptions& options);
// The modules of a block's linear layers in the order of the network, grouped by their input.
std::vector<std::vector<std::string>> linearLayers(const ModelConfig& config, uint32_t layer);

// Linear layers that read the same values, and the step that makes these: factors of its results can be divided out of
// the layers' columns, and the network stays the same.
struct ScaleGroup {
  std::string before;  // a norm's module, or a linear layer, whose rows and bias are scaled
  bool norm = false;
  std::vector<std::string> modules;
  // Every `run` rows of `before` are read `repeat` times in succession, as values of heads that queries share. 0 = row
  // c is column c.
  uint32_t run = 0, repeat = 1;
  // Rows of other kinds come before the first that is read, and after each run, up to `step` rows from run to run.
  uint32_t first = 0, step = 0;
  float offset = 0;  // of a norm: is added to its weights
  // The row of `before` that becomes column c.
  uint32_t rowOf(uint32_t c) const {
    return first + (run == 0 ? c : c / run / repeat * (step != 0 ? step : run) + c % run);
  }
};
std::vector<ScaleGroup> scaleGroups(const ModelConfig& config, uint32_t layer);

// Who writes the hidden states and who reads them, besides the layers of linearLayers() behind a norm.
struct HiddenStates {
  std::string embedding, norm, head;  // the embedding of tokens, the last norm, the head behind it
  std::string positions = {};         // the table of learned positions
  // For encoders: the table of token types, the norm behind the sum, the layer in front of the last norm, the tensor of
  // the head's bias, the layer that pools.
  std::string types = {}, embedding_norm = {}, transform = {}, head_bias = {}, pooler = {};
  // For images, too: the norm behind the last block, and the tensor of the token for the whole. `embedding` is the
  // layer of patches, `positions` a tensor.
  std::string body_norm = {}, class_token = {};
};
HiddenStates hiddenStates(const ModelConfig& config);
// The module whose tensor holds the matrix of a module, which for tied heads is the embedding, and the tensor of its
// bias.
std::string matrixModule(const ModelConfig& config, const std::string& module);
std::string biasTensor(const ModelConfig& config, const std::string& module);
// The linear layers of a block that add to the hidden states.
std::vector<std::string> hiddenWriters(const ModelConfig& config, uint32_t layer);

// The value of the body's graph that holds the hidden states after a block.
std::string blockResult(const ModelConfig& config, uint32_t layer);

struct HeadOptions {
  uint32_t max_rows = 1;
  uint32_t hidden_rows = 0;  // of kHidden
  bool losses = false;       // "targets" is an input; result "loss"
  bool reference = false;    // the losses' "reference" is an input: another model's logits
  uint32_t select = 0;       // results "select.logits", "select.ids", "select.log_sum"; 0 = none
  float temperature = 1;     // the selected logits are divided by it
  bool logits = false;       // result "logits"
  bool pooled = false;       // result "pooled" alone: what the pooler makes of the rows
  StorageOf storage;
};
// Input: "rows", numbers of rows of kHidden, which is memory here.
graph::Graph headGraph(const ModelConfig& config, const HeadOptions& options);

// A step of one token of each sequence and the greedy choice of the next: the ids of a step are the state kNextIds, in
// whose place it leaves those of the next step. So the host provides only "positions", "cache_rows" and the visible
// positions. Before the first step the caller writes the ids. Result: "select.logits", the largest logits.
graph::Graph decodeGraph(const ModelConfig& config, const BodyOptions& options);
inline constexpr const char* kNextIds = "ids";

}  // namespace nib::model
#endif
