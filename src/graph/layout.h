// Where the values of a graph lie: which share bytes, how long they live, and their offsets in the arena.
#ifndef NIB_GRAPH_LAYOUT_H
#define NIB_GRAPH_LAYOUT_H

#include <nibble/graph.h>

#include <cstdint>
#include <span>
#include <vector>

namespace nib::graph {

// The bytes of an operand that a node needs, from its plan.
struct NodeNeeds {
  std::vector<uint64_t> operand_bytes;
  uint64_t aux_bytes = 0;
};

struct Layout {
  struct Slot {
    uint64_t offset_bytes = 0;  // in the arena
    uint64_t size_bytes = 0;
    ValueId owner = kNoValue;  // the first of the values that share the slot; of a kMemory value, the one with memory
  };
  std::vector<Slot> values;                 // by value
  std::vector<uint64_t> aux_offset;         // by node, in the arena
  uint64_t input_begin = 0, input_end = 0;  // in the arena
  uint64_t arena_bytes = 0;
};

// Throws if a node reads a value after the node that overwrites it in place.
Layout layOut(const Graph& graph, std::span<const NodeNeeds> needs);

}  // namespace nib::graph
#endif
