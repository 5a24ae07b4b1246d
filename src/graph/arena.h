// Assigns offsets in one arena: values that live at the same time do not overlap, and the memory of dead ones is
// reused.
#ifndef NIB_GRAPH_ARENA_H
#define NIB_GRAPH_ARENA_H

#include <cstdint>
#include <span>
#include <vector>

namespace nib::graph {

// A block of memory that lives from step `first` to step `last`, both included.
struct Block {
  uint64_t size_bytes = 0;
  uint32_t first = 0;
  uint32_t last = 0;
  uint64_t offset_bytes = 0;  // the result
};

inline constexpr uint64_t kBlockAlignment = 256;  // the largest minStorageBufferOffsetAlignment that Vulkan allows

// Sets the offsets, all at least `begin`, and returns the end of the arena. Larger blocks are placed first, each at the
// lowest offset that is free while it lives.
uint64_t placeBlocks(std::span<Block> blocks, uint64_t begin);

}  // namespace nib::graph
#endif
