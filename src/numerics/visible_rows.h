// Which rows of a cache a token of NIB_OP_ATTENTION sees.
#ifndef NIB_NUMERICS_VISIBLE_ROWS_H
#define NIB_NUMERICS_VISIBLE_ROWS_H

#include <algorithm>
#include <cstdint>

namespace nib {

struct VisibleRows {
  uint64_t from, to;
};

// entry: the token's four numbers in NIB_PART_INDICES.
inline VisibleRows visibleRows(const uint32_t* entry, uint32_t cache_rows) {
  const uint64_t first = entry[0], end = std::min<uint64_t>(entry[1], uint64_t(entry[2]) + 1);
  if (first >= cache_rows) return {0, 0};
  const uint64_t to = std::min<uint64_t>(end, cache_rows - first);
  const uint64_t from = std::min<uint64_t>(entry[3], to);
  return {first + from, first + to};
}

}  // namespace nib
#endif
