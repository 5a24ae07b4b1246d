// Two phases that reduce a dense matrix to NibExtents, for minmax, histogram and quantize (scales of large sets), and
// two more that compute means.
#ifndef NIB_OPS_STATISTICS_H
#define NIB_OPS_STATISTICS_H

#include <nibble/nibble.h>

namespace nib {

class PlanBuilder;
class SmallDims;

// The number of partial statistics (16 bytes each) that the reduce phase writes. Partial sums later overwrite them.
uint64_t statisticsPartials(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride);

// Lists small sizes at which these phases are those of rows x cols.
void statisticsSmallDims(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride, SmallDims* list);

#if !defined(NIB_NO_VULKAN)
// Which extent to compute. kAbsmax and kRange are cheaper and only tell whether there are non-finite values.
enum class ExtentOf : uint32_t { kFinite = 0, kAbsmax = 1, kRange = 2 };

struct Statistics {
  ExtentOf what;
  uint32_t granularity;  // TENSOR, ROW or COLUMN
  uint32_t rows, cols, stride;
  uint32_t source_type;
  bool status;
  uint32_t partial_word;  // in AUX
  NibRole result_role;    // where the NibExtents go
  uint32_t result_word;
};

NibResult addStatistics(const Statistics& statistics, PlanBuilder& builder);
// After addStatistics with kAbsmax in AUX: replaces each absmax by the mean magnitude.
NibResult addMeans(const Statistics& statistics, PlanBuilder& builder);
#endif

}  // namespace nib
#endif
