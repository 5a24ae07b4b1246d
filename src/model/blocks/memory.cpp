#include "model/blocks/memory.h"

#include <algorithm>
#include <vector>

namespace nib::model {

uint64_t graphBytes(const graph::Graph& graph) {
  const std::vector<graph::Value>& values = graph.values();
  uint64_t memory = 0;
  for (const graph::Value& value : values) {
    if (value.storage == graph::Storage::kMemory && value.in_place_of == graph::kNoValue) memory += value.size_bytes;
  }
  // The nodes at which a value's bytes begin and end to be needed. Inputs are there from the start.
  const auto ownerOf = [&](graph::ValueId id) {
    while (values[id].in_place_of != graph::kNoValue) id = values[id].in_place_of;
    return id;
  };
  const size_t nodes = graph.nodes().size();
  std::vector<size_t> first(values.size(), nodes), last(values.size(), 0);
  for (size_t n = 0; n < nodes; ++n) {
    for (const graph::Operand& operand : graph.nodes()[n].operands) {
      const graph::ValueId owner = ownerOf(operand.value);
      const bool input = values[owner].storage == graph::Storage::kInput;
      first[owner] = std::min(first[owner], input ? 0 : n);
      last[owner] = n;
    }
  }
  uint64_t most = 0;
  for (size_t n = 0; n < nodes; ++n) {
    uint64_t live = 0;
    for (size_t v = 0; v < values.size(); ++v) {
      if (values[v].storage != graph::Storage::kMemory && first[v] <= n && n <= last[v]) live += values[v].size_bytes;
    }
    most = std::max(most, live);
  }
  return memory + most;
}

uint64_t solverBytes(uint64_t rows, uint64_t cols) {
  constexpr uint64_t kElement = 4, kFactorScratch = 2 * 64, kErrors = 128;
  const uint64_t matrices = 2 * cols * cols;  // the Hessian and the factor
  const uint64_t weight = 4 * rows * cols;    // as it is, corrected, decoded, and its codes
  return kElement * (matrices + weight + kFactorScratch * cols + kErrors * rows);
}

}  // namespace nib::model
