// Memory of the host: the most that this process has held, and the rest that it may take.
#ifndef NIB_MODEL_HOST_MEMORY_H
#define NIB_MODEL_HOST_MEMORY_H

#include <cstdint>
#include <optional>

namespace nib::model {

// The peak of resident memory in bytes, files that are mapped included. None where the system does not tell.
std::optional<uint64_t> peakHostBytes();
// Memory that the process may still take: free memory of the machine, or less if a control group limits it. None where
// that is not known.
std::optional<uint64_t> availableHostBytes();

}  // namespace nib::model
#endif
