// Several pieces of work under way at once, so that reading, computing and writing overlap.
#ifndef NIB_MODEL_QUANTIZE_LANES_H
#define NIB_MODEL_QUANTIZE_LANES_H

#include <cstddef>
#include <cstdint>
#include <functional>

namespace nib::model {

// work(lane, job) for each job of 0..jobs-1, begun in that order, one at a time in each lane. After an error nothing new
// begins; of several errors that of the first job is thrown.
void runLanes(uint32_t lanes, size_t jobs, const std::function<void(uint32_t lane, size_t job)>& work);

}  // namespace nib::model
#endif
