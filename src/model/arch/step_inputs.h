// The inputs of a network's graphs besides hidden states, for a step of several sequences.
#ifndef NIB_MODEL_ARCH_STEP_INPUTS_H
#define NIB_MODEL_ARCH_STEP_INPUTS_H

#include "model/arch/config.h"

#include <nibble/graph.h>

#include <cstdint>
#include <span>
#include <vector>

namespace nib::model {

class StepInputs {
 public:
  // config: must outlive the object.
  explicit StepInputs(const ModelConfig& config);
  // Adds tokens of a sequence, whose first `position` tokens are in the cache, from first_row on. Throws for ids that
  // are not in the vocabulary, and if an encoder would not see its sequence whole.
  void add(uint32_t first_row, uint32_t position, std::span<const uint32_t> ids);
  // Adds an image: the elements of its patches, [channels, height, width] each, from left to right and down. Throws.
  void addImage(uint32_t first_row, std::span<const float> patches);
  uint32_t tokens() const { return uint32_t(positions_.size()); }
  // Set the inputs of blocks, and those that the embedding reads. Throw.
  void setBlock(const graph::Program& program) const;
  void setEmbedding(const graph::Program& program) const;

 private:
  void addPositions(uint32_t position, std::span<const uint32_t> ids);
  // The keys that a token sees: those of a sequence of `length` tokens from first_row on.
  void addVisible(uint32_t first_row, uint32_t length, uint32_t at);

  const ModelConfig* config_;
  std::vector<uint32_t> windows_;
  std::vector<uint32_t> ids_, positions_, cache_rows_;
  std::vector<std::vector<uint32_t>> visible_;  // by window
  std::vector<float> patches_;
};

}  // namespace nib::model
#endif
