// Arithmetic ceilings of the CPU device: every instruction set that this processor has, on all of the device's threads.
#include "bench/ceilings.h"
#include "simd/kernels.h"

#include <algorithm>
#include <chrono>
#include <thread>

namespace nib::bench {
namespace {

// Steps of one repetition. Sums of 1 up to this are exact in fp32.
constexpr uint32_t kSteps = 1u << 16;

// Every thread has lanes of its own, which begin at 0.
template <class Lane>
class Peak final : public Subject {
 public:
  using Run = void (*)(const simd::Kernels& kernels, Lane* lanes);
  Peak(const simd::Kernels& kernels, uint32_t threads, Run run, Lane expected)
      : kernels_(kernels), run_(run), expected_(expected), lanes_(threads) {
    for (std::vector<Lane>& lanes : lanes_) lanes.resize(kernels.peak_lanes);
  }
  std::string verify() override {
    run(1);
    return verifyAgain();
  }
  std::string verifyAgain() override {
    for (const std::vector<Lane>& lanes : lanes_) {
      for (const Lane lane : lanes) {
        if (lane != expected_) {
          return "a lane is " + std::to_string(lane) + ", it should be " + std::to_string(expected_);
        }
      }
    }
    return "";
  }
  Batch run(uint32_t repetitions) override {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> pool;
    for (std::vector<Lane>& lanes : lanes_) {
      pool.emplace_back([&] {
        for (uint32_t i = 0; i < repetitions; ++i) {
          std::fill(lanes.begin(), lanes.end(), Lane{});
          run_(kernels_, lanes.data());
        }
      });
    }
    for (std::thread& thread : pool) thread.join();
    return {{}, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count()};
  }

 private:
  const simd::Kernels& kernels_;
  Run run_;
  Lane expected_;
  std::vector<std::vector<Lane>> lanes_;
};

// The best of all instruction sets. operations: of a lane and step.
template <class Lane>
CeilingReport measurePeaks(const char* name, const char* unit, const char* what, double operations, uint32_t threads,
                           typename Peak<Lane>::Run run, Lane expected, double seconds) {
  CeilingReport best;
  best.name = name;
  best.unit = unit;
  best.reason = "this build has no vectors";
  for (const char* set : simd::kKernelSets) {
    const simd::Kernels* kernels = simd::findKernels(set);
    if (kernels == nullptr || kernels->peak_lanes == 0) continue;
    CeilingReport report;
    report.name = name;
    report.unit = unit;
    report.tried = true;
    report.method = std::string(what) + ", " + set + ", " + std::to_string(threads) + " threads";
    Peak<Lane> peak(*kernels, threads, run, expected);
    report.best = measure(peak, {.seconds = seconds / std::size(simd::kKernelSets)});
    report.reason = report.best.problem;
    if (report.best.verified) {
      const double steps = double(kSteps) * kernels->peak_lanes * threads;
      report.value = 1e-9 * operations * steps / (report.best.us.p5 * 1e-6);
      report.ways.push_back({report.method, *report.value});
    }
    best = best.tried ? betterOf(name, best, report) : report;
  }
  return best;
}

}  // namespace

CeilingReport measureCpuFma(uint32_t threads, double seconds) {
  return measurePeaks<float>(
      "fma", "GFLOPS", "fp32 multiply-add", 2, threads,
      [](const simd::Kernels& kernels, float* lanes) { kernels.peakMultiplyAdds(1.0f, 1.0f, kSteps, lanes); },
      float(kSteps), seconds);
}

CeilingReport measureCpuDot4(uint32_t threads, double seconds) {
  // 1 * 2 + 2 * -1 + 3 * 4 + 4 * -2 = 4
  return measurePeaks<int32_t>(
      "dot4", "GOPS", "8-bit dot products", 8, threads,
      [](const simd::Kernels& kernels, int32_t* lanes) { kernels.peakDots(0x04030201u, 0xfe04ff02u, kSteps, lanes); },
      int32_t(4 * kSteps), seconds);
}

}  // namespace nib::bench
