#include "graph/arena.h"

#include "graph/hazards.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace nib::graph {
namespace {

bool liveTogether(const Block& a, const Block& b) { return a.first <= b.last && b.first <= a.last; }

bool overlap(const Block& a, const Block& b) {
  return a.offset_bytes < b.offset_bytes + b.size_bytes && b.offset_bytes < a.offset_bytes + a.size_bytes;
}

TEST_CASE("blocks that live together do not overlap, and stay inside the arena") {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Block> blocks(1 + random() % 40);
    uint64_t most_alive = 0;
    for (Block& block : blocks) {
      block.size_bytes = 1 + random() % 5000;
      block.first = random() % 30;
      block.last = block.first + random() % 8;
    }
    const uint64_t end = placeBlocks(blocks, 100);
    for (uint32_t t = 0; t < 40; ++t) {
      uint64_t alive = 0;
      for (const Block& block : blocks) {
        if (block.first <= t && t <= block.last) alive += block.size_bytes;
      }
      most_alive = std::max(most_alive, alive);
    }
    CHECK(end >= most_alive + 100);
    for (size_t i = 0; i < blocks.size(); ++i) {
      REQUIRE(blocks[i].offset_bytes >= 100);
      REQUIRE(blocks[i].offset_bytes % kBlockAlignment == 0);
      REQUIRE(blocks[i].offset_bytes + blocks[i].size_bytes <= end);
      for (size_t j = 0; j < i; ++j) {
        REQUIRE_FALSE((liveTogether(blocks[i], blocks[j]) && overlap(blocks[i], blocks[j])));
      }
    }
  }
}

TEST_CASE("a chain of values takes the memory of two") {
  std::vector<Block> blocks;
  for (uint32_t i = 0; i < 10; ++i) blocks.push_back({1024, i, i + 1});
  CHECK(placeBlocks(blocks, 0) == 2048);
}

TEST_CASE("barriers come where bytes are handed on, and nowhere else") {
  Hazards hazards;
  const std::vector<Touch> write_a{{0, 0, 64, true}}, read_a{{0, 32, 96, false}}, write_b{{0, 64, 128, true}},
      other{{1, 0, 64, true}}, read_both{{0, 0, 128, false}, {1, 0, 4, false}};
  CHECK_FALSE(hazards.add(write_a));
  CHECK_FALSE(hazards.add(other));    // separate memory
  CHECK(hazards.add(read_a));         // reads what write_a has written
  CHECK_FALSE(hazards.add(read_a));   // two reads
  CHECK(hazards.add(write_b));        // overwrites what read_a reads
  CHECK_FALSE(hazards.add(write_a));  // bytes beside write_b's
  CHECK(hazards.add(read_both));
  CHECK_FALSE(hazards.add(read_both));
  CHECK(hazards.add(other));
}

}  // namespace
}  // namespace nib::graph
