// Builders of a decoder's blocks.
#ifndef NIB_MODEL_ARCH_BLOCKS_H
#define NIB_MODEL_ARCH_BLOCKS_H

#include "model/arch/decoder.h"

#include <string>
#include <vector>

namespace nib::model {

// The inputs of a step that all blocks read.
struct BlockInputs {
  graph::ValueId positions, cache_rows;
  std::vector<graph::ValueId> visible;  // by window
};

// A block after the hidden states; returns those after it.
graph::ValueId addGatedBlock(graph::Graph& graph, const ModelConfig& config, const BodyOptions& options,
                             const BlockInputs& inputs, uint32_t layer, graph::ValueId hidden);
graph::ValueId addEncoderBlock(graph::Graph& graph, const ModelConfig& config, const BodyOptions& options,
                               const BlockInputs& inputs, uint32_t layer, graph::ValueId hidden);
graph::ValueId addGptBlock(graph::Graph& graph, const ModelConfig& config, const BodyOptions& options,
                           const BlockInputs& inputs, uint32_t layer, graph::ValueId hidden);

// Names of the modules of a mixture of experts. "*" stands for the number of an expert.
struct ExpertNames {
  std::string mlp;  // what all names begin with
  std::string gate, up, down;
};
ExpertNames expertNames(const ModelConfig& config, uint32_t layer);
// The second half of a gated block that has experts.
graph::ValueId addExperts(graph::Graph& graph, const ModelConfig& config, const BodyOptions& options, uint32_t layer,
                          graph::ValueId hidden);
// The modules of an encoder's block, and the node of its attention.
struct EncoderNames {
  std::string query, key, value, attention, output, attention_norm, up, down, inner_norm;
};
EncoderNames encoderNames(const ModelConfig& config, uint32_t layer);

// A linear layer with the weights of a module.
graph::Linear linearOf(const StorageOf& storage, const std::string& module, uint32_t rows);
// A norm of hidden states, as the family has it.
graph::ValueId addNorm(graph::Graph& graph, const ModelConfig& config, graph::ValueId input, const std::string& name);
graph::ValueId rotate(graph::Graph& graph, const ModelConfig& config, const BodyOptions& options,
                      const BlockInputs& inputs, uint32_t layer, graph::ValueId heads, uint32_t count,
                      const std::string& name);
graph::ValueId attend(graph::Graph& graph, const ModelConfig& config, const BodyOptions& options,
                      const BlockInputs& inputs, uint32_t layer, graph::ValueId queries, graph::ValueId keys,
                      graph::ValueId values, const std::string& name);
// The activations between the two layers behind attention go through a Hadamard transform, if the model says so.
graph::ValueId spreadInner(graph::Graph& graph, const ModelConfig& config, graph::ValueId inner,
                           const std::string& name);

// "model.layers.3", and the names of its modules.
std::string moduleIn(const ModelConfig& config, const std::string& name);
std::string blockName(const ModelConfig& config, uint32_t layer);

}  // namespace nib::model
#endif
