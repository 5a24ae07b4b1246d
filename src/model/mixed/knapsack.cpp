#include "model/mixed/knapsack.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace nib::model {
namespace {

// The indices of the options in ascending order of bytes.
std::vector<size_t> bySize(std::span<const Priced> options) {
  std::vector<size_t> order(options.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return options[a].bytes < options[b].bytes; });
  return order;
}

// The bytes of options beyond the smallest of their item.
struct Item {
  std::vector<size_t> order;    // by size
  std::vector<uint64_t> extra;  // in units, in that order
};

}  // namespace

void makeMonotone(std::span<Priced> options) {
  double least = std::numeric_limits<double>::infinity();
  for (const size_t i : bySize(options)) options[i].cost = least = std::min(least, options[i].cost);
}

std::optional<Chosen> chooseOptions(std::span<const std::vector<Priced>> items, uint64_t budget_bytes,
                                    uint64_t most_cells) {
  std::vector<Item> list;
  uint64_t smallest = 0, most = 0, divisor = 0;
  for (const std::vector<Priced>& options : items) {
    Item& item = list.emplace_back();
    item.order = bySize(options);
    const uint64_t least = options[item.order.front()].bytes;
    for (const size_t i : item.order) {
      item.extra.push_back(options[i].bytes - least);
      divisor = std::gcd(divisor, item.extra.back());
    }
    smallest += least;
    most += item.extra.back();
  }
  if (smallest > budget_bytes) return std::nullopt;
  Chosen chosen;
  chosen.unit_bytes = std::max<uint64_t>(divisor, 1);
  const uint64_t room = budget_bytes - smallest, useful = std::min(room, most);
  const uint64_t columns = std::max<uint64_t>(most_cells / std::max<size_t>(items.size(), 1), 2) - 1;
  if (useful / chosen.unit_bytes > columns) {
    chosen.unit_bytes *= (useful / chosen.unit_bytes + columns - 1) / columns;
    chosen.exact = false;
  }
  most = 0;
  for (Item& item : list) {
    for (uint64_t& extra : item.extra) extra = extra / chosen.unit_bytes + (extra % chosen.unit_bytes != 0 ? 1 : 0);
    most += item.extra.back();
  }
  const size_t units = size_t(std::min(room / chosen.unit_bytes, most));
  // best[u]: the least cost of the items so far within u units; taken: the option of each item, by u.
  std::vector<double> best(units + 1, 0), next(units + 1);
  std::vector<std::vector<uint8_t>> taken(list.size(), std::vector<uint8_t>(units + 1));
  for (size_t n = 0; n < list.size(); ++n) {
    const Item& item = list[n];
    std::fill(next.begin(), next.end(), std::numeric_limits<double>::infinity());
    for (size_t o = 0; o < item.order.size(); ++o) {
      const double cost = items[n][item.order[o]].cost;
      for (size_t u = size_t(std::min<uint64_t>(item.extra[o], units + 1)); u <= units; ++u) {
        const double sum = best[u - size_t(item.extra[o])] + cost;
        if (sum >= next[u]) continue;
        next[u] = sum;
        taken[n][u] = uint8_t(o);
      }
    }
    best.swap(next);
  }
  // The fewest units of the least cost.
  size_t left = units;
  while (left > 0 && best[left - 1] == best[units]) --left;
  chosen.options.resize(list.size());
  for (size_t n = list.size(); n-- > 0;) {
    const uint8_t o = taken[n][left];
    left -= size_t(list[n].extra[o]);
    chosen.options[n] = list[n].order[o];
    chosen.bytes += items[n][chosen.options[n]].bytes;
    chosen.cost += items[n][chosen.options[n]].cost;
  }
  return chosen;
}

}  // namespace nib::model
