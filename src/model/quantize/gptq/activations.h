// What the graph of a block hands from one run of nodes to the next, in host memory.
#ifndef NIB_MODEL_QUANTIZE_GPTQ_ACTIVATIONS_H
#define NIB_MODEL_QUANTIZE_GPTQ_ACTIVATIONS_H

#include "model/timed_device.h"

#include <nibble/graph.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nib::model {

// Arena values that are written before node `cut` and read from there on, each piece of memory once. `inputs`: names of
// inputs that the host writes again or that no node overwrites.
std::vector<graph::ValueId> liveValues(const graph::Graph& graph, const graph::Program& program, uint32_t cut,
                                       const std::vector<std::string>& inputs);

// The bytes of values for the first `tokens` tokens of a step.
class Saved {
 public:
  void save(const TimedDevice& device, const graph::Graph& graph, const graph::Program& program,
            const std::vector<graph::ValueId>& values, uint32_t tokens);
  void restore(const TimedDevice& device, const graph::Graph& graph, const graph::Program& program) const;

 private:
  std::vector<graph::ValueId> values_;
  std::vector<std::vector<std::byte>> bytes_;
};

}  // namespace nib::model
#endif
