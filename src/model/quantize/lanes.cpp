#include "model/quantize/lanes.h"

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace nib::model {

void runLanes(uint32_t lanes, size_t jobs, const std::function<void(uint32_t lane, size_t job)>& work) {
  std::mutex mutex;
  size_t next = 0, failed = jobs;
  std::exception_ptr error;
  const auto lane = [&](uint32_t number) {
    for (;;) {
      size_t job;
      {
        const std::lock_guard<std::mutex> lock(mutex);
        if (next == jobs || error) return;
        job = next++;
      }
      try {
        work(number, job);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (job < failed) {
          failed = job;
          error = std::current_exception();
        }
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (uint32_t i = 1; i < lanes && i < jobs; ++i) threads.emplace_back(lane, i);
    lane(0);
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace nib::model
