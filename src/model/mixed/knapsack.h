// Chooses one option for each of several items so that the sum of their costs is the least within a budget of bytes.
#ifndef NIB_MODEL_MIXED_KNAPSACK_H
#define NIB_MODEL_MIXED_KNAPSACK_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace nib::model {

struct Priced {
  uint64_t bytes = 0;
  double cost = 0;  // finite, 0 or more
};

struct Chosen {
  std::vector<size_t> options;  // by item
  uint64_t bytes = 0;           // sums
  double cost = 0;
  // Sizes count in units of so many bytes, rounded up. The choice is the optimum in these units. If they divide all
  // differences of sizes, as they do unless there are too many of them, it is the optimum.
  uint64_t unit_bytes = 1;
  bool exact = true;
};

// Makes the cost of an option no more than that of any that takes fewer bytes, or as many and comes before it.
void makeMonotone(std::span<Priced> options);

// items: with at least one option each. most_cells: of the table of dynamic programming, which has a row for each item.
// None if even the smallest options exceed the budget. Between equal costs the smaller size is chosen.
std::optional<Chosen> chooseOptions(std::span<const std::vector<Priced>> items, uint64_t budget_bytes,
                                    uint64_t most_cells = 1u << 28);

}  // namespace nib::model
#endif
