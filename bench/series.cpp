#include "bench/series.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <numeric>

namespace nib::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Long enough that a GPU raises its clocks, short enough for every watchdog.
constexpr double kBatchSeconds = 0.010;
constexpr uint32_t kSingles = 5;
constexpr double kMaxOverheadSeconds = 0.001;
constexpr double kLongSeconds = 1;  // the overhead of a submission is negligible in comparison

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Processor time of all threads of this process. Nothing on systems whose std::clock measures something else.
std::optional<double> processorSeconds() {
#if defined(__unix__) || defined(__APPLE__)
  const std::clock_t ticks = std::clock();
  if (ticks != std::clock_t(-1)) return double(ticks) / CLOCKS_PER_SEC;
#endif
  return std::nullopt;
}

Spread inMicroseconds(const Spread& s) { return {s.median * 1e6, s.p5 * 1e6, s.p95 * 1e6, s.p99 * 1e6}; }

}  // namespace

Series::Series(Subject& subject, double warm_up_seconds) : subject_(subject) {
  double estimate = 0;
  const auto start = Clock::now();
  for (uint32_t i = 0; i < 20 && (i < 1 || since(start) < warm_up_seconds); ++i) {
    const double seconds = subject.run(1).wall_seconds;
    estimate = i == 0 ? seconds : std::min(estimate, seconds);
  }
  setBatch(estimate);
}

Series Series::known(Subject& subject, double repetition_seconds) {
  Series series(subject);
  series.setBatch(repetition_seconds);
  return series;
}

void Series::setBatch(double repetition_seconds) {
  const double fitting = kBatchSeconds / std::max(repetition_seconds, 1e-9);
  batch_ = static_cast<uint32_t>(std::clamp(fitting, 1.0, double(kMaxBatch)));
}

void Series::addRound() {
  const std::optional<double> before = processorSeconds();
  const Batch times = subject_.run(batch_);
  if (before) cpu_.push_back((*processorSeconds() - *before) / batch_);
  device_.insert(device_.end(), times.device_seconds.begin(), times.device_seconds.end());
  wall_.insert(wall_.end(), batch_, times.wall_seconds / batch_);
  device_total_ += std::accumulate(times.device_seconds.begin(), times.device_seconds.end(), 0.0);
  wall_total_ += times.wall_seconds;
  if (batch_ == 1) singles_.push_back(times.wall_seconds);
  ++submissions_;
}

void Series::completeSingles() {
  while (singles_.size() < kSingles && (singles_.empty() || singles_.back() < kLongSeconds)) {
    singles_.push_back(subject_.run(1).wall_seconds);
  }
}

// The times of the repetitions must add up to at most the time of the submissions, and to most of it if those are long.
std::string Series::clockProblem() const {
  if (!hasDeviceClock() || !(device_total_ > 0)) return "the device's timestamps do not advance";
  if (device_total_ > wall_total_ * 1.02) return "the device's timestamps say more than the time that passed";
  // The overhead of a submission is the time that a submission of one repetition takes beyond the repetition. No driver
  // takes more than kMaxOverheadSeconds.
  const double overhead = std::clamp(spreadOf(singles_).median - spreadOf(device_).median, 0.0, kMaxOverheadSeconds);
  const double busy = wall_total_ - overhead * submissions_;
  if (busy > 0.020 && device_total_ < 0.5 * busy) {
    return "the device's timestamps say less than half of the time that passed";
  }
  return {};
}

Spread Series::us(bool device_clock) const { return inMicroseconds(spreadOf(device_clock ? device_ : wall_)); }

std::vector<double> Series::roundSeconds(bool device_clock) const {
  const std::vector<double>& times = device_clock ? device_ : wall_;
  std::vector<double> rounds;
  for (auto at = times.begin(); at != times.end(); at += batch_) {
    rounds.push_back(std::accumulate(at, at + batch_, 0.0) / batch_);
  }
  return rounds;
}

std::optional<double> Series::cpuUs() const {
  if (cpu_.empty()) return std::nullopt;
  return spreadOf(cpu_).p5 * 1e6;
}

}  // namespace nib::bench
