// Small sizes for kernels that turn a dense matrix into codes, or codes into one: "encode" and "dequantize".
#ifndef NIB_OPS_CODE_DIMS_H
#define NIB_OPS_CODE_DIMS_H

#include <initializer_list>

#include "ops/tuning.h"

namespace nib {

// Columns that a workgroup of 128 invocations processes: a run each, of 16 or 32 elements.
inline constexpr uint32_t kWorkgroupCols = 128 * 32;

inline void codeSmallDims(const NibWeights& weights, Dims whole, SmallDims* list) {
  if (weights.granularity != NIB_GRANULARITY_COLUMN) return addDimsAbove(kWorkgroupCols, whole, list);
  // Workgroups cross from one block of rows to the next. 512 scales of columns are one workgroup of kernel "scale".
  if (whole.rows == 1) return addDimsAbove(kWorkgroupCols, whole, list);
  for (const uint32_t bound : {256u, 512u, kWorkgroupCols / 2, kWorkgroupCols}) {
    if (bound == 256 || whole.cols > bound) addColumnDims(whole, colsAbove(bound, whole.cols), list);
  }
}

// More columns than `bound` of rows of FLAT weights that are whole groups and whole runs; the plan's `cols` are.
inline uint32_t flatCols(const NibWeights& weights, uint32_t cols, uint32_t bound) {
  const FormatDesc* format = findFormat(weights.format);
  const uint32_t group =
      weights.group_size != 0 || format == nullptr ? weights.group_size : format->info.default_group_size;
  if (group == 0 || group > kLargestGroup) return cols;
  return uint32_t(alignUp(bound + 1, group % 32 == 0 ? group : group * 2));
}

}  // namespace nib
#endif
