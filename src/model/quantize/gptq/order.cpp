#include "model/quantize/gptq/order.h"

#include <algorithm>
#include <numeric>

namespace nib::model {

std::vector<uint32_t> columnOrder(ColumnOrder order, std::span<const float> diagonal, uint32_t group) {
  const uint32_t cols = uint32_t(diagonal.size());
  std::vector<uint32_t> columns(cols);
  std::iota(columns.begin(), columns.end(), 0u);
  const auto larger = [&](uint32_t a, uint32_t b) { return diagonal[a] > diagonal[b]; };
  if (order != ColumnOrder::kGroups) {
    std::stable_sort(columns.begin(), columns.end(), larger);
    return columns;
  }
  const uint32_t whole = cols / group;
  std::vector<uint32_t> groups(whole);
  std::iota(groups.begin(), groups.end(), 0u);
  std::vector<float> largest(whole);
  for (uint32_t g = 0; g < whole; ++g) {
    largest[g] = *std::max_element(diagonal.begin() + g * group, diagonal.begin() + (g + 1) * group);
  }
  std::stable_sort(groups.begin(), groups.end(), [&](uint32_t a, uint32_t b) { return largest[a] > largest[b]; });
  if (cols % group != 0) groups.push_back(whole);
  auto to = columns.begin();
  for (const uint32_t g : groups) {
    const auto end = to + std::min(group, cols - g * group);
    std::iota(to, end, g * group);
    std::stable_sort(to, end, larger);
    to = end;
  }
  return columns;
}

}  // namespace nib::model
