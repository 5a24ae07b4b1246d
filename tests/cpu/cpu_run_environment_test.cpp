// The reference gives the same bytes on any number of threads, in any order, and whatever the application has done to
// the thread's floating-point unit.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "plan/op.h"
#include "prepare.h"
#include "run_op.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <xmmintrin.h>
#define NIB_TEST_HAS_MXCSR 1
#endif

using namespace nib;
using namespace nib::tests;

namespace {

// Every op and format, with every kind of case; large shapes and more of a kind would add nothing here but time.
std::vector<selftest::Case> everyKind() {
  constexpr uint32_t kEvery = 6;
  std::vector<selftest::Case> all;
  for (const selftest::OpFormat& what : selftest::opFormats()) {
    for (const selftest::Case& c :
         selftest::thinned(selftest::casesOf(NibOp(what.op), what.format, selftest::Extent::kFull), kEvery)) {
      const Dims dims = findOp(what.op)->dims(c.desc());
      if (uint64_t(dims.rows) * dims.cols <= 20000) all.push_back(c);
    }
  }
  return all;
}

// The bytes of every range after a run of the case, without scratch.
std::vector<uint8_t> bytesAfter(const selftest::Case& c, const NibParallelFor* parallel) {
  Ranges ranges(c.desc());
  REQUIRE(ranges.valid());
  prepare(c, ranges);
  REQUIRE(ranges.run(c.n, parallel) == NIB_SUCCESS);
  CHECK(ranges.guardsHold());
  std::vector<uint8_t> all = ranges.copy(NIB_ROLE_WEIGHTS);
  for (const uint32_t role : {uint32_t(NIB_ROLE_INPUT), uint32_t(NIB_ROLE_OUTPUT)}) {
    if (ranges.size(role) == 0) continue;
    const std::vector<uint8_t> more = ranges.copy(role);
    all.insert(all.end(), more.begin(), more.end());
  }
  if (ranges.memory.part[NIB_PART_STATUS].size_bytes != 0) {
    const NibStatus status = ranges.status();
    const uint8_t* at = reinterpret_cast<const uint8_t*>(&status);
    all.insert(all.end(), at, at + sizeof status);
  }
  return all;
}

// Four threads that take indices in turn.
struct Pool {
  std::atomic<uint64_t> bodies{0};
  std::atomic<uint64_t> calls{0};

  static void run(void* user, uint32_t count, void (*body)(void*, uint32_t), void* body_user) {
    Pool* pool = static_cast<Pool*>(user);
    ++pool->calls;
    std::atomic<uint32_t> next{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (uint32_t i = next++; i < count; i = next++) {
          body(body_user, i);
          ++pool->bodies;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
};

// One thread, from the last index to the first.
void runBackwards(void*, uint32_t count, void (*body)(void*, uint32_t), void* user) {
  while (count > 0) body(user, --count);
}

#ifdef NIB_TEST_HAS_MXCSR
constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;

class FloatMode {
 public:
  explicit FloatMode(unsigned bits) : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | bits); }
  ~FloatMode() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
};
#endif

}  // namespace

TEST_CASE("four threads, and any order, give the same bytes as one") {
  Pool pool;
  const NibParallelFor threads{Pool::run, &pool}, backwards{runBackwards, nullptr}, none{nullptr, nullptr};
  for (const selftest::Case& c : everyKind()) {
    const std::vector<uint8_t> expected = bytesAfter(c, nullptr);
    const bool same = bytesAfter(c, &backwards) == expected && bytesAfter(c, &none) == expected &&
                      bytesAfter(c, &threads) == expected;
    if (!same) {
      INFO(c.name());
      CHECK(same);
    }
  }
  // The threads were really given the work.
  CHECK(pool.calls > 100);
  CHECK(pool.bodies > 10 * pool.calls);
}

TEST_CASE("the caller's FTZ and DAZ change no byte, and stay as they were") {
#ifdef NIB_TEST_HAS_MXCSR
  {
    // The bits do something here: half of the smallest normal number is then zero, and so is a denormal that is read.
    const FloatMode mode(kFlushToZero | kDenormalsAreZero);
    volatile float smallest = 0x1p-126f, denormal = 0x1p-130f;
    volatile float product = smallest * 0.5f, grown = denormal * 0x1p20f;
    CHECK(product == 0.0f);
    CHECK(grown == 0.0f);
  }
  uint64_t compared = 0;
  for (const selftest::Case& c : everyKind()) {
    const std::vector<uint8_t> expected = bytesAfter(c, nullptr);
    for (const unsigned bits : {kFlushToZero, kDenormalsAreZero, kFlushToZero | kDenormalsAreZero}) {
      Ranges ranges(c.desc());
      std::vector<uint8_t> found;
      unsigned before, after;
      {
        const FloatMode mode(bits);
        before = _mm_getcsr() & 0xffc0u;  // without the sticky exception flags
        found = bytesAfter(c, nullptr);
        after = _mm_getcsr() & 0xffc0u;
      }
      ++compared;
      if (found != expected || before != after) {
        INFO(c.name(), " mode ", bits);
        CHECK(before == after);
        CHECK(found == expected);
      }
    }
  }
  CHECK(compared > 1000);
#else
  MESSAGE("SKIPPED: FTZ and DAZ are set through SSE's control register, which this machine does not have");
#endif
}
