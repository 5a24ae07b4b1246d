#include "graph/layout.h"

#include "graph/arena.h"

#include <algorithm>

namespace nib::graph {
namespace {

constexpr uint32_t kNever = UINT32_MAX;

// When a value is used: indices of nodes.
struct Uses {
  uint32_t first_write = kNever;
  uint32_t first = kNever;
  uint32_t last_read = 0;
  uint32_t last = 0;
  bool read = false;
};

std::vector<Uses> findUses(const Graph& graph) {
  std::vector<Uses> uses(graph.values().size());
  for (uint32_t n = 0; n < graph.nodes().size(); ++n) {
    for (const Operand& operand : graph.nodes()[n].operands) {
      Uses& use = uses[operand.value];
      use.first = std::min(use.first, n);
      use.last = n;
      if (operand.writes) {
        use.first_write = std::min(use.first_write, n);
      } else {
        use.read = true;
        use.last_read = n;
      }
    }
  }
  return uses;
}

uint64_t alignUp(uint64_t x) { return (x + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment; }

// The value whose bytes a value takes: itself, or one that it may overwrite.
std::vector<ValueId> findOwners(const Graph& graph, const std::vector<Uses>& uses) {
  std::vector<ValueId> owner(graph.values().size());
  for (ValueId v = 0; v < owner.size(); ++v) {
    const Value& value = graph.value(v);
    owner[v] = v;
    if (value.view) owner[v] = owner[value.in_place_of];
    if (value.view || value.in_place_of == kNoValue || uses[v].first_write == kNever) continue;
    // Values that share these bytes already and are still read, or kept, after the node that overwrites them.
    ValueId in_the_way = kNoValue;
    for (ValueId u = 0; u < v; ++u) {
      if (owner[u] != owner[value.in_place_of]) continue;
      if (graph.value(u).kept || (uses[u].read && uses[u].last_read > uses[v].first_write)) in_the_way = u;
    }
    if (in_the_way == kNoValue) {
      owner[v] = owner[value.in_place_of];
    } else if (value.must_share || value.storage != Storage::kArena) {
      throw kit::Error("graph: node " + graph.nodes()[uses[v].first_write].name + " overwrites " +
                       graph.value(in_the_way).name + ", which is read later");
    }
  }
  return owner;
}

// Where a value begins in its owner.
std::vector<uint64_t> findOffsets(const Graph& graph, const std::vector<ValueId>& owner) {
  std::vector<uint64_t> offset(owner.size());
  for (ValueId v = 0; v < owner.size(); ++v) {
    if (owner[v] != v) offset[v] = offset[graph.value(v).in_place_of] + graph.value(v).offset_bytes;
  }
  return offset;
}

}  // namespace

Layout layOut(const Graph& graph, std::span<const NodeNeeds> needs) {
  const std::vector<Uses> uses = findUses(graph);
  const std::vector<ValueId> owner = findOwners(graph, uses);
  const std::vector<uint64_t> offset = findOffsets(graph, owner);
  const uint32_t count = uint32_t(graph.values().size()), nodes = uint32_t(graph.nodes().size());
  std::vector<uint64_t> size(count);
  for (ValueId v = 0; v < count; ++v) size[owner[v]] = std::max(size[owner[v]], offset[v] + graph.value(v).size_bytes);
  for (uint32_t n = 0; n < nodes; ++n) {
    const std::vector<Operand>& operands = graph.nodes()[n].operands;
    for (size_t i = 0; i < operands.size(); ++i) {
      const ValueId v = operands[i].value;
      size[owner[v]] = std::max(size[owner[v]], offset[v] + operands[i].offset_bytes + needs[n].operand_bytes[i]);
    }
  }
  Layout layout;
  layout.values.resize(count);
  layout.aux_offset.resize(nodes);
  // Offset 0 stays free, because a part cannot be moved to it: 0 in part_offset_bytes means "not moved".
  uint64_t end = layout.input_begin = kBlockAlignment;
  std::vector<Block> blocks;
  std::vector<ValueId> block_value;
  for (ValueId v = 0; v < count; ++v) {
    if (owner[v] != v) continue;
    layout.values[v].size_bytes = size[v];
    if (graph.value(v).storage == Storage::kInput) {
      layout.values[v].offset_bytes = end;
      end += alignUp(size[v]);
    } else if (graph.value(v).storage == Storage::kArena) {
      Block block{size[v], kNever, 0};
      for (ValueId u = v; u < count; ++u) {
        if (owner[u] != v) continue;
        block.first = std::min(block.first, uses[u].first);
        block.last = std::max(block.last, graph.value(u).kept ? nodes : uses[u].last);
        if (graph.value(u).state) block.first = 0, block.last = nodes;
      }
      if (block.first == kNever) continue;  // no node uses it
      blocks.push_back(block);
      block_value.push_back(v);
    }
  }
  layout.input_end = end;
  for (uint32_t n = 0; n < nodes; ++n) {
    if (needs[n].aux_bytes != 0) blocks.push_back({needs[n].aux_bytes, n, n});
  }
  layout.arena_bytes = placeBlocks(blocks, end);
  for (size_t b = 0; b < blocks.size(); ++b) {
    if (b < block_value.size()) {
      layout.values[block_value[b]].offset_bytes = blocks[b].offset_bytes;
    } else {
      layout.aux_offset[blocks[b].first] = blocks[b].offset_bytes;
    }
  }
  for (ValueId v = 0; v < count; ++v) {
    layout.values[v].owner = owner[v];
    if (owner[v] == v) continue;
    layout.values[v].offset_bytes = layout.values[owner[v]].offset_bytes + offset[v];
    layout.values[v].size_bytes = size[owner[v]] - offset[v];
  }
  return layout;
}

}  // namespace nib::graph
