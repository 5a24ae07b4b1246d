#include "bench/ceilings.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

namespace nib::bench {
namespace {

CeilingReport absent(const char* name, const char* unit, const char* reason) {
  CeilingReport report;
  report.name = name;
  report.unit = unit;
  report.reason = reason;
  return report;
}

// memcpy by all threads, each on its own part.
class HostCopy final : public Subject {
 public:
  explicit HostCopy(size_t words)
      : threads_(std::max(1u, std::thread::hardware_concurrency())), source_(words), result_(words) {
    for (size_t i = 0; i < words; ++i) source_[i] = i * 0x9e3779b97f4a7c15ull;
  }
  uint32_t threads() const { return threads_; }
  std::string verify() override {
    std::fill(result_.begin(), result_.end(), 0);
    copy();
    return verifyAgain();
  }
  std::string verifyAgain() override { return source_ == result_ ? "" : "the copy differs from its source"; }
  Batch run(uint32_t repetitions) override {
    const auto start = std::chrono::steady_clock::now();
    for (uint32_t i = 0; i < repetitions; ++i) copy();
    return {{}, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
  }

 private:
  void copy() {
    const size_t share = (source_.size() + threads_ - 1) / threads_;
    std::vector<std::thread> pool;
    for (uint32_t i = 0; i < threads_; ++i) {
      const size_t begin = std::min(source_.size(), i * share);
      const size_t end = std::min(source_.size(), begin + share);
      pool.emplace_back([this, begin, end] {
        std::memcpy(result_.data() + begin, source_.data() + begin, (end - begin) * sizeof(uint64_t));
      });
    }
    for (std::thread& thread : pool) thread.join();
  }

  uint32_t threads_;
  std::vector<uint64_t> source_, result_;
};

}  // namespace

CeilingReport measureHostCopy(uint64_t bytes, double seconds) {
  CeilingReport report;
  report.name = "copy";
  report.unit = "GB/s";
  report.tried = true;
  HostCopy copy(static_cast<size_t>(std::max<uint64_t>(bytes / 2, 4096) / sizeof(uint64_t)));
  report.method = "memcpy, " + std::to_string(copy.threads()) + " threads";
  report.best = measure(copy, {.seconds = seconds});
  report.reason = report.best.problem;
  if (!report.best.verified) return report;
  // Every byte is read once and written once.
  report.value = 2e-9 * double(std::max<uint64_t>(bytes / 2, 4096)) / (report.best.us.p5 * 1e-6);
  report.ways.push_back({report.method, *report.value});
  return report;
}

CeilingReport betterOf(const char* name, const CeilingReport& a, const CeilingReport& b) {
  const bool first = a.value && (!b.value || *a.value >= *b.value);
  CeilingReport report = first ? a : b;
  report.name = name;
  report.ways = a.ways;
  report.ways.insert(report.ways.end(), b.ways.begin(), b.ways.end());
  return report;
}

Ceilings measureCeilings(const kit::Device& device, const Rotation& rotation, double seconds) {
  Ceilings ceilings;
  if (device.isCpu()) {
    const uint32_t threads = std::max(1u, device.info().cpu_threads);
    ceilings.copy = measureHostCopy(rotation.bytes, seconds * 0.5);
    ceilings.copy_kernel = absent("copy_kernel", "GB/s", "the host's memcpy is the copy of a CPU");
    ceilings.copy_buffer = absent("copy_buffer", "GB/s", "the host's memcpy is the copy of a CPU");
    ceilings.fma = measureCpuFma(threads, seconds * 0.25);
    ceilings.dot4 = measureCpuDot4(threads, seconds * 0.25);
    ceilings.coopmat = absent("coopmat", "GOPS", "the CPU device uses no matrix unit");
    ceilings.coopmat_f16 = absent("coopmat_f16", "GFLOPS", "the CPU device uses no matrix unit");
    return ceilings;
  }
#if !defined(NIB_NO_VULKAN)
  measureCopies(device, rotation.bytes, seconds * 0.5, &ceilings);
  ceilings.fma = measureFma(device, seconds * 0.125);
  ceilings.dot4 = measureDot4(device, seconds * 0.125);
  ceilings.coopmat = measureCoopmat(device, false, seconds * 0.125);
  ceilings.coopmat_f16 = measureCoopmat(device, true, seconds * 0.125);
  measureEmpty(device, &ceilings);
#endif
  return ceilings;
}

}  // namespace nib::bench
