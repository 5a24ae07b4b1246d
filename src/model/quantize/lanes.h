// Runs jobs on a few threads, so that reading, computing and writing overlap.
#ifndef NIB_MODEL_QUANTIZE_LANES_H
#define NIB_MODEL_QUANTIZE_LANES_H

#include <cstddef>
#include <cstdint>
#include <functional>

namespace nib::model {

// Calls work(lane, job) for each job in 0..jobs-1. Jobs start in that order; each lane is a thread that runs one job at
// a time, lane 0 the calling one. After a job throws, no new job starts; the error of the first failed job is rethrown
// when all lanes have stopped.
void runLanes(uint32_t lanes, size_t jobs, const std::function<void(uint32_t lane, size_t job)>& work);

}  // namespace nib::model
#endif
