// Runs jobs on a few threads, so that reading, computing and writing overlap.
#ifndef NIB_MODEL_QUANTIZE_LANES_H
#define NIB_MODEL_QUANTIZE_LANES_H

#include <cstddef>
#include <cstdint>
#include <functional>

namespace nib::model {

// Calls work(lane, job) for each job in 0..jobs-1. Jobs start in that order; each lane runs one job at a time. Lane 0 is
// the calling thread. After a job throws, no new job starts; rethrows the error of the failed job with the lowest number.
void runLanes(uint32_t lanes, size_t jobs, const std::function<void(uint32_t lane, size_t job)>& work);

}  // namespace nib::model
#endif
