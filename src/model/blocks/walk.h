// Runs a network block by block over calibration data, and stops in front of its linear layers. One block is on the
// device at a time; its inputs are in host memory or a file.
#ifndef NIB_MODEL_BLOCKS_WALK_H
#define NIB_MODEL_BLOCKS_WALK_H

#include "model/arch/decoder.h"
#include "model/blocks/column_stats.h"
#include "model/blocks/hessian_sum.h"
#include "model/blocks/phases.h"
#include "model/decode.h"
#include "model/run/weights.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

// Linear layers with the same input.
struct LayerGroup {
  uint32_t layer = 0;
  std::vector<std::string> modules;
  uint32_t first = 0;  // node of the block's graph
};

// The inputs of a group, over the whole calibration set.
struct GroupInputs {
  const HessianSum& hessian;   // nothing without WalkOptions::hessian
  const ColumnStats& columns;  // nothing without WalkOptions::column_stats
  // Runs the first sequences of the set through the block, with its weights as they are now, and returns what a linear
  // layer of it makes, with what is added to that: [tokens, channels]. Only with WalkOptions::together.
  std::function<std::vector<float>(const std::string& module)> outputOf = {};
};

class BlockVisitor {
 public:
  virtual ~BlockVisitor() = default;
  // Whether the inputs of a module are wanted.
  virtual bool wants(const std::string& module) const = 0;
  // Device memory for the work on a group, in bytes.
  virtual uint64_t workBytes(const LayerGroup& group, uint32_t cols) const = 0;
  // Called before a block runs. True: none of its inputs are wanted, and it runs with the weights as they are then.
  virtual bool finished(std::span<const LayerGroup>, ModelWeights&) { return false; }
  // Matrices of the block are fp32 in `weights`; changes apply to what runs afterwards.
  virtual void visit(const LayerGroup& group, const GroupInputs& inputs, ModelWeights& weights) = 0;
};

struct WalkOptions {
  uint32_t step_tokens = 2048;   // run at a time: as many whole sequences as fit, at least one
  uint64_t memory_bytes = 0;     // of activations in host memory; the others are in a file
  std::filesystem::path folder;  // of that file
  // The groups of a block are visited after all inputs are known, instead of each with inputs that the ones before have
  // changed.
  bool together = false;
  bool changes_weights = true;
  bool hessian = true;
  bool column_stats = false;
  uint32_t samples = 0;  // rows that column_stats keep of each group's inputs
  std::string purpose;   // "GPTQ", for errors
  BlockTimes* times = nullptr;
  // Tokens of forward passes that are done, of all. May be empty.
  std::function<void(uint64_t done, uint64_t all)> progress;
};

// sequences: the calibration set, token ids. Throws.
void walkBlocks(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
                std::span<const std::vector<uint32_t>> sequences, const WalkOptions& options, BlockVisitor& visitor);

}  // namespace nib::model
#endif
