// Which runs of the CPU device had no fast kernel.
#ifndef NIB_KIT_REFERENCE_RUNS_H
#define NIB_KIT_REFERENCE_RUNS_H

#include <cstdint>

namespace nib::kit::detail {

// Runs of an op, in this process, that took the reference. Networks must not: it is a hundred times slower.
// Thread-safe.
uint64_t referenceRuns(uint32_t op);

}  // namespace nib::kit::detail
#endif
