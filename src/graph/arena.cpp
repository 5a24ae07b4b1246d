#include "graph/arena.h"

#include <algorithm>
#include <numeric>

namespace nib::graph {
namespace {

uint64_t alignUp(uint64_t x) { return (x + kBlockAlignment - 1) / kBlockAlignment * kBlockAlignment; }

bool liveTogether(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

}  // namespace

uint64_t placeBlocks(std::span<Block> blocks, uint64_t begin) {
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return blocks[a].size_bytes > blocks[b].size_bytes; });
  uint64_t end = alignUp(begin);
  std::vector<const Block*> placed;  // by offset
  for (const size_t i : order) {
    Block& block = blocks[i];
    uint64_t offset = alignUp(begin);
    for (const Block* other : placed) {
      if (!liveTogether(block, *other)) continue;
      if (offset + block.size_bytes <= other->offset_bytes) break;
      offset = std::max(offset, alignUp(other->offset_bytes + other->size_bytes));
    }
    block.offset_bytes = offset;
    end = std::max(end, offset + alignUp(block.size_bytes));
    const auto behind = std::upper_bound(placed.begin(), placed.end(), &block, [](const Block* a, const Block* b) {
      return a->offset_bytes < b->offset_bytes;
    });
    placed.insert(behind, &block);
  }
  return end;
}

}  // namespace nib::graph
