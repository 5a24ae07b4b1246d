// Sorts columns by group, for NIB_PRODUCT_ORDER.
#include <nibble/nibble.h>

extern "C" NibResult nibOrderFromGroupIndex(const uint32_t* group_index, uint32_t cols, uint32_t group_size,
                                            uint32_t* out_order) {
  if (group_index == nullptr || out_order == nullptr || cols == 0 || group_size == 0) return NIB_ERROR_INVALID_ARGUMENT;
  const uint32_t groups = (cols - 1) / group_size + 1;
  // Groups are full, so the position of each is known. A group's last entry counts its columns until it is written.
  const auto first = [&](uint32_t group) { return group * group_size; };
  const auto last = [&](uint32_t group) { return group + 1 < groups ? (group + 1) * group_size - 1 : cols - 1; };
  for (uint32_t group = 0; group < groups; ++group) out_order[last(group)] = 0;
  for (uint32_t col = 0; col < cols; ++col) {
    if (group_index[col] >= groups) return NIB_ERROR_INVALID_ARGUMENT;
    ++out_order[last(group_index[col])];
  }
  for (uint32_t group = 0; group < groups; ++group) {
    uint32_t& count = out_order[last(group)];
    if (count != last(group) - first(group) + 1) return NIB_ERROR_INVALID_ARGUMENT;
    count = 0;
  }
  for (uint32_t col = 0; col < cols; ++col) {
    uint32_t& count = out_order[last(group_index[col])];
    const uint32_t at = first(group_index[col]) + count;
    ++count;
    out_order[at] = col;  // the group's last column overwrites the count
  }
  return NIB_SUCCESS;
}
