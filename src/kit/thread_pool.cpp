#include "kit/thread_pool.h"

#include <algorithm>
#include <system_error>

namespace nib::kit::detail {

ThreadPool::ThreadPool(uint32_t threads)
    : threads_(threads != 0 ? threads : std::max(1u, std::thread::hardware_concurrency())) {}

ThreadPool::~ThreadPool() {
  stop_ = true;
  state_ += kRun;
  state_.notify_all();
  for (std::thread& thread : pool_) thread.join();
}

void ThreadPool::start() {
  started_ = true;
  try {
    for (uint32_t i = 1; i < threads_; ++i) pool_.emplace_back([this] { serve(); });
  } catch (const std::system_error&) {
    // The system has no more threads: those that started, and the caller, do all the work.
  }
}

void ThreadPool::work() {
  for (uint32_t i = next_++; i < count_; i = next_++) body_(user_, i);
}

// Waits until there are more runs than in *seen, and joins the last one unless it has ended.
bool ThreadPool::join(uint64_t* seen) {
  uint64_t state = state_;
  while (state / kRun == *seen) {
    state_.wait(state);
    state = state_;
  }
  *seen = state / kRun;
  while ((state & kOpen) != 0 && state / kRun == *seen) {
    if (state_.compare_exchange_weak(state, state + 1)) return true;
  }
  return false;
}

void ThreadPool::serve() {
  for (uint64_t seen = 0; !stop_;) {
    if (!join(&seen)) continue;
    work();
    if ((--state_ & (kOpen | kJoined)) == 0) state_.notify_all();
  }
}

void ThreadPool::run(uint32_t count, void (*body)(void* user, uint32_t index), void* user) {
  if (count <= 1 || threads_ == 1 || busy_.test_and_set(std::memory_order_acquire)) {
    for (uint32_t i = 0; i < count; ++i) body(user, i);
    return;
  }
  if (!started_) start();
  body_ = body;
  user_ = user;
  count_ = count;
  next_ = 0;
  state_ += kRun | kOpen;
  state_.notify_all();
  work();
  for (uint64_t state = state_ -= kOpen; (state & kJoined) != 0; state = state_) state_.wait(state);
  busy_.clear(std::memory_order_release);
}

}  // namespace nib::kit::detail
