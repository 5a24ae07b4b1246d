// The choice of options within a budget, against trying all.
#include "model/mixed/knapsack.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

using namespace nib::model;

namespace {

using Items = std::vector<std::vector<Priced>>;

struct Tried {
  double cost = 0;
  uint64_t bytes = 0;
  bool any = false;
};

// The best of all combinations; of equal costs the one of the fewest bytes.
Tried tryAll(const Items& items, uint64_t budget) {
  Tried best;
  std::vector<size_t> at(items.size(), 0);
  for (;;) {
    double cost = 0;
    uint64_t bytes = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      cost += items[i][at[i]].cost;
      bytes += items[i][at[i]].bytes;
    }
    if (bytes <= budget && (!best.any || cost < best.cost || (cost == best.cost && bytes < best.bytes))) {
      best = {cost, bytes, true};
    }
    size_t i = 0;
    while (i < items.size() && ++at[i] == items[i].size()) at[i++] = 0;
    if (i == items.size()) return best;
  }
}

// Costs are multiples of 1/64, whose sums are exact in any order.
Items randomItems(std::mt19937& random, uint64_t unit, bool odd) {
  Items items(1 + random() % 6);
  for (auto& options : items) {
    options.resize(1 + random() % 4);
    const uint64_t base = random() % 50;
    for (Priced& option : options) {
      option.bytes = base + unit * (random() % 20) + (odd ? random() % 3 : 0);
      option.cost = double(random() % 512) / 64;
    }
  }
  return items;
}

}  // namespace

TEST_CASE("the choice within a budget is the best of all combinations") {
  std::mt19937 random(1);
  size_t found = 0, none = 0;
  for (int round = 0; round < 3000; ++round) {
    const Items items = randomItems(random, 1 + random() % 9, round % 2 == 0);
    uint64_t all = 0;
    for (const auto& options : items) all += options.back().bytes;
    const uint64_t budget = random() % (all + 30);
    const Tried best = tryAll(items, budget);
    const std::optional<Chosen> chosen = chooseOptions(items, budget);
    INFO("round ", round);
    REQUIRE(chosen.has_value() == best.any);
    if (!chosen) {
      ++none;
      continue;
    }
    ++found;
    CHECK(chosen->exact);
    CHECK(chosen->cost == best.cost);
    CHECK(chosen->bytes == best.bytes);
    double cost = 0;
    uint64_t bytes = 0;
    REQUIRE(chosen->options.size() == items.size());
    for (size_t i = 0; i < items.size(); ++i) {
      cost += items[i].at(chosen->options[i]).cost;
      bytes += items[i].at(chosen->options[i]).bytes;
    }
    CHECK(cost == best.cost);
    CHECK(bytes == best.bytes);
  }
  CHECK(found > 1000);
  CHECK(none > 100);
}

TEST_CASE("sizes count in units of their greatest common divisor") {
  const Items items = {{{1000, 9}, {1600, 3}, {2200, 1}}, {{16, 5}, {1216, 0}}};
  const std::optional<Chosen> chosen = chooseOptions(items, 2816);
  REQUIRE(chosen);
  CHECK(chosen->unit_bytes == 600);
  CHECK(chosen->exact);
  // 1600 + 1216 costs 3, 2200 + 16 costs 6, and 2200 + 1216 is too much.
  CHECK(chosen->options == std::vector<size_t>{1, 1});
  CHECK(chosen->bytes == 2816);
  CHECK(chooseOptions(items, 2815)->options == std::vector<size_t>{2, 0});
  CHECK(!chooseOptions(items, 1015));
  CHECK(chooseOptions(items, 1016)->bytes == 1016);
  CHECK(chooseOptions(items, UINT64_MAX)->cost == 1);
}

TEST_CASE("a table that would be too large has coarser units, and its choice stays within the budget") {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const Items items = randomItems(random, 97, true);
    uint64_t all = 0;
    for (const auto& options : items) all += options.back().bytes;
    const std::optional<Chosen> chosen = chooseOptions(items, all, 30 * items.size());
    const Tried best = tryAll(items, all);
    REQUIRE(chosen.has_value() == best.any);
    if (!chosen) continue;
    CHECK(chosen->bytes <= all);
    CHECK(chosen->cost >= best.cost);
    // It is the best of the combinations whose options, each rounded up to units, fit.
    Items rounded = items;
    uint64_t least = 0;
    for (auto& options : rounded) {
      uint64_t smallest = UINT64_MAX;
      for (const Priced& option : options) smallest = std::min(smallest, option.bytes);
      for (Priced& option : options) {
        option.bytes = (option.bytes - smallest + chosen->unit_bytes - 1) / chosen->unit_bytes;
      }
      least += smallest;
    }
    CHECK(chosen->cost == tryAll(rounded, (all - least) / chosen->unit_bytes).cost);
    if (chosen->exact) CHECK(chosen->cost == best.cost);
  }
}

TEST_CASE("more bits never cost more") {
  std::vector<Priced> options = {{400, 0.5}, {100, 3}, {800, 0.75}, {200, 4}, {200, 2}, {900, 0}};
  makeMonotone(options);
  const double expected[] = {0.5, 3, 0.5, 3, 2, 0};
  for (size_t i = 0; i < options.size(); ++i) CHECK(options[i].cost == expected[i]);
}
