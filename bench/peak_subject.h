// Common parts of the ceilings measured with kernels: the report, and a subject made of three functions.
#ifndef NIB_BENCH_PEAK_SUBJECT_H
#define NIB_BENCH_PEAK_SUBJECT_H

#include "bench/ceilings.h"
#include "bench/peak_plan.h"

#include <functional>

namespace nib::bench {

// Result buffers are filled with it before a kernel runs.
constexpr uint32_t kPeakMarker = 0xa5a5a5a5u;

// A report without a value; `tried` says whether the device can run the kernel.
CeilingReport peakReport(const kit::Device& device, const char* name, const char* unit, const std::string& kernel,
                         uint32_t workgroup);

// Adds a method's measurement to the report, which keeps the fastest. A failure is kept in any case. work: bytes or
// operations of a repetition.
void addResult(CeilingReport& report, const Measurement& measured, double work, const std::string& method);

// "word 5 gives 1, not 2".
template <class T>
std::string differs(const char* what, size_t index, T got, T expected) {
  return std::string(what) + " " + std::to_string(index) + " gives " + std::to_string(got) + ", not " +
         std::to_string(expected);
}

class PeakSubject final : public Subject {
 public:
  PeakSubject(std::function<Batch(uint32_t)> run, std::function<void()> clear, std::function<std::string()> check)
      : run_(std::move(run)), clear_(std::move(clear)), check_(std::move(check)) {}
  PeakSubject(PeakPlan& plan, std::function<void()> clear, std::function<std::string()> check)
      : PeakSubject([&plan](uint32_t repetitions) { return plan.run(repetitions); }, std::move(clear),
                    std::move(check)) {}
  std::string verify() override {
    clear_();
    run_(1);
    return check_();
  }
  std::string verifyAgain() override { return check_(); }
  Batch run(uint32_t repetitions) override { return run_(repetitions); }

 private:
  std::function<Batch(uint32_t)> run_;
  std::function<void()> clear_;
  std::function<std::string()> check_;
};

}  // namespace nib::bench
#endif
