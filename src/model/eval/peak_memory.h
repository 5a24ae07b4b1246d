// The most memory that this process has held.
#ifndef NIB_MODEL_EVAL_PEAK_MEMORY_H
#define NIB_MODEL_EVAL_PEAK_MEMORY_H

#include <cstdint>
#include <optional>

namespace nib::model {

// The peak of resident memory in bytes, files that are mapped included. None where the system does not tell.
std::optional<uint64_t> peakHostBytes();

}  // namespace nib::model
#endif
