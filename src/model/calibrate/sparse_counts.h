// Counts of histograms without the empty bins, which most log-spaced bins are (NIB_OP_LOG_HISTOGRAM).
#ifndef NIB_MODEL_CALIBRATE_SPARSE_COUNTS_H
#define NIB_MODEL_CALIBRATE_SPARSE_COUNTS_H

#include <cstdint>
#include <span>
#include <vector>

namespace nib::model {

struct SparseCount {
  uint32_t bin = 0;
  uint64_t count = 0;
  bool operator==(const SparseCount&) const = default;
};
using SparseCounts = std::vector<SparseCount>;  // in ascending order of bins

SparseCounts withoutEmpty(std::span<const uint64_t> counts);
// All log-spaced counts, as nibFindRange takes them.
std::vector<uint64_t> withEmpty(const SparseCounts& counts, uint32_t mantissa_bits);
// The log-spaced bin of a finite value.
uint32_t logBinOf(float value, uint32_t mantissa_bits);
void mergeCounts(SparseCounts& into, const SparseCounts& from);

}  // namespace nib::model
#endif
