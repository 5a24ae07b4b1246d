// The threads of the CPU device.
#include "kit/thread_pool.h"

#include <doctest/doctest.h>

using nib::kit::detail::ThreadPool;

namespace {

struct Counts {
  explicit Counts(uint32_t count) : of(count) {}
  std::vector<std::atomic<uint32_t>> of;
  ThreadPool* nested = nullptr;

  static void add(void* user, uint32_t i) {
    Counts& counts = *static_cast<Counts*>(user);
    if (counts.nested == nullptr) {
      ++counts.of[i];
      return;
    }
    Counts inner(7);
    counts.nested->run(7, &Counts::add, &inner);
    for (const std::atomic<uint32_t>& n : inner.of) counts.of[i] += n;
  }
  bool allAre(uint32_t expected) const {
    for (const std::atomic<uint32_t>& n : of) {
      if (n != expected) return false;
    }
    return true;
  }
};

}  // namespace

TEST_CASE("a pool calls each index once, run after run") {
  for (const uint32_t threads : {1u, 2u, 5u, 0u}) {
    ThreadPool pool(threads);
    for (uint32_t round = 0; round < 200; ++round) {
      Counts counts(round);
      pool.run(round, &Counts::add, &counts);
      CHECK(counts.allAre(1));
    }
  }
}

TEST_CASE("a pool that never ran ends, and so does one whose threads sleep") {
  { const ThreadPool pool(4); }
  ThreadPool pool(4);
  Counts counts(9);
  pool.run(9, &Counts::add, &counts);
  CHECK(counts.allAre(1));
}

TEST_CASE("runs from several threads, and from within a run, do not wait for each other") {
  ThreadPool pool(3);
  Counts nested(40);
  nested.nested = &pool;
  pool.run(40, &Counts::add, &nested);
  CHECK(nested.allAre(7));

  std::vector<std::thread> callers;
  std::atomic<uint32_t> right{0};
  for (uint32_t t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (uint32_t i = 0; i < 100; ++i) {
        Counts counts(33);
        pool.run(33, &Counts::add, &counts);
        right += counts.allAre(1) ? 1 : 0;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(right == 400);
}
