// The two phases that turn a dense matrix into NibExtents, shared by minmax and by quantizing with large scales, and two
// more that find means.
#ifndef NIB_OPS_STATISTICS_H
#define NIB_OPS_STATISTICS_H

#include <nibble/nibble.h>

namespace nib {

class PlanBuilder;

// Partial statistics (16 bytes each) that the reduce phase leaves; partial sums take their place.
uint64_t statisticsPartials(uint32_t granularity, uint32_t rows, uint32_t cols, uint32_t stride);

#if !defined(NIB_NO_VULKAN)
// What a scale needs to know. The last two are cheaper, and only tell whether there are non-finite values.
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
// Behind it, of kAbsmax in AUX: the means of magnitudes take the place of the absmax.
NibResult addMeans(const Statistics& statistics, PlanBuilder& builder);
#endif

}  // namespace nib
#endif
