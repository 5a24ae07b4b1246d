#include "bench/measure.h"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace nib::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Long enough that the clocks of a GPU rise, short enough for every watchdog.
constexpr double kBatchSeconds = 0.010;
constexpr uint32_t kSingles = 5;
// A device this slow is measured with the least repetitions.
constexpr double kMostOverrun = 3;
constexpr double kWarmUpShare = 0.15;
constexpr double kMostOverheadSeconds = 0.001;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Repetitions lie inside their submission: together they cannot last longer, nor only a small part of a long one.
std::string clockProblem(double device_seconds, double wall_seconds, double idle_seconds) {
  if (!(device_seconds > 0)) return "the device's timestamps do not advance";
  if (device_seconds > wall_seconds * 1.02) return "the device's timestamps say more than the time that passed";
  const double busy = wall_seconds - idle_seconds;
  if (busy > 0.020 && device_seconds < 0.5 * busy) return "the device's timestamps say less than half of the time that passed";
  return {};
}

}  // namespace

Measurement measure(Subject& subject, const MeasureOptions& options) {
  Measurement result;
  result.problem = subject.verify();
  if (!result.problem.empty()) return result;

  // Warm up, and learn how long a repetition takes.
  double estimate = 0;
  const auto warm_up = Clock::now();
  for (uint32_t i = 0; i < 20 && (i < 1 || since(warm_up) < kWarmUpShare * options.seconds); ++i) {
    const double seconds = subject.run(1).wall_seconds;
    estimate = i == 0 ? seconds : std::min(estimate, seconds);
  }
  const double fitting = std::clamp(kBatchSeconds / std::max(estimate, 1e-9), 1.0, double(kMaxBatch));
  const uint32_t batch = static_cast<uint32_t>(fitting);

  std::vector<double> device, wall, singles;
  double device_total = 0, wall_total = 0;
  uint32_t submissions = 0;
  const auto start = Clock::now();
  const auto isEnough = [&] {
    const double spent = since(start);
    if (wall.size() >= options.max_repetitions) return true;
    if (wall.size() >= options.min_repetitions) return spent >= options.seconds;
    return wall.size() >= options.least_repetitions && spent >= kMostOverrun * options.seconds;
  };
  while (!isEnough()) {
    const Batch times = subject.run(batch);
    device.insert(device.end(), times.device_seconds.begin(), times.device_seconds.end());
    wall.insert(wall.end(), batch, times.wall_seconds / batch);
    device_total += std::accumulate(times.device_seconds.begin(), times.device_seconds.end(), 0.0);
    wall_total += times.wall_seconds;
    if (batch == 1) singles.push_back(times.wall_seconds);
    ++submissions;
  }
  while (singles.size() < kSingles) singles.push_back(subject.run(1).wall_seconds);

  result.problem = subject.verifyAgain();
  if (!result.problem.empty()) return result;
  result.verified = true;
  result.repetitions = static_cast<uint32_t>(wall.size());
  result.submit_to_wait_us = spreadOf(singles).median * 1e6;
  if (device.size() == wall.size()) {
    // A submission costs the host what a single one does beyond its repetition; more than this no driver takes.
    const double overhead = std::clamp(spreadOf(singles).median - spreadOf(device).median, 0.0, kMostOverheadSeconds);
    result.clock_note = clockProblem(device_total, wall_total, overhead * submissions);
    result.device_clock = result.clock_note.empty();
  }
  Spread& us = result.us;
  us = spreadOf(result.device_clock ? std::move(device) : std::move(wall));
  us = {us.median * 1e6, us.p5 * 1e6, us.p95 * 1e6, us.p99 * 1e6};
  return result;
}

std::optional<double> ceilingFraction(double rate, const Ceiling& ceiling) {
  if (!ceiling.value || !(*ceiling.value > 0)) return std::nullopt;
  return rate / *ceiling.value;
}

}  // namespace nib::bench
