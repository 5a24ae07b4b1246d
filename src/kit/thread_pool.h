// Threads of the CPU device. They start with the first run that needs them and live as long as the device.
#ifndef NIB_KIT_THREAD_POOL_H
#define NIB_KIT_THREAD_POOL_H

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace nib::kit::detail {

class ThreadPool {
 public:
  // threads: of a run, with the caller's. 0 = one for each hardware thread.
  explicit ThreadPool(uint32_t threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  uint32_t threads() const { return threads_; }

  // Calls body(user, i) for i in [0, count), and returns after all. Thread-safe: the pool does one run at a time, and
  // the caller of another, also one from within a body, does that alone.
  void run(uint32_t count, void (*body)(void* user, uint32_t index), void* user);

 private:
  void start();
  void serve();
  bool join(uint64_t* seen);
  void work();

  const uint32_t threads_;
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  std::vector<std::thread> pool_;
  bool started_ = false;

  // The run. Threads read it after they have joined.
  void (*body_)(void*, uint32_t) = nullptr;
  void* user_ = nullptr;
  uint32_t count_ = 0;
  std::atomic<uint32_t> next_{0};

  // The number of runs so far, whether threads may join the last one, and how many have. A thread that wakes too late
  // does not join, so that the caller waits for no thread that the system has not resumed yet.
  static constexpr uint64_t kRun = uint64_t(1) << 32, kOpen = uint64_t(1) << 31, kJoined = kOpen - 1;
  std::atomic<uint64_t> state_{0};
  std::atomic<bool> stop_{false};
};

}  // namespace nib::kit::detail
#endif
