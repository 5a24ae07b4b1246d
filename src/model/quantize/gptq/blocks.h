// Quantizes the linear layers of a network block by block: the inputs of a block are the outputs of the quantized
// blocks before it.
#ifndef NIB_MODEL_QUANTIZE_GPTQ_BLOCKS_H
#define NIB_MODEL_QUANTIZE_GPTQ_BLOCKS_H

#include "model/arch/decoder.h"
#include "model/decode.h"
#include "model/quantize/gptq/layer.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nib::model {

struct BlocksOptions {
  GptqOptions gptq;
  uint32_t step_tokens = 2048;   // run at a time: as many whole sequences as fit, at least one
  uint64_t memory_bytes = 0;     // of activations in host memory; the others are in a file
  std::filesystem::path folder;  // of that file
  // How a module is quantized; none = it stays as it is.
  std::function<std::optional<WeightSpec>(const std::string& module)> weight;
  // The blob of a module that an earlier run has finished; empty = none. A block counts as finished if all of its have.
  std::function<HostBlob(const std::string& module)> finished;
  // Called once for each module, in the order of the network.
  std::function<void(const GptqLayerReport& report, const HostBlob& blob)> done;
  // Instead of quantizing: called with the Hessian of the modules' inputs. The weights stay as they are.
  std::function<void(const std::vector<std::string>& modules, const HessianSum& hessian)> observe;
  // Tokens of forward passes that are done, of all.
  std::function<void(uint64_t done, uint64_t all)> progress;
};

// sequences: the calibration set. Throws.
void quantizeBlocks(const TimedDevice& device, const ModelView& view, const ModelConfig& config,
                    std::span<const std::vector<uint32_t>> sequences, const BlocksOptions& options);

}  // namespace nib::model
#endif
