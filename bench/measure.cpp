#include "bench/measure.h"

#include "bench/series.h"

#include <algorithm>
#include <chrono>

namespace nib::bench {
namespace {

using Clock = std::chrono::steady_clock;

// After this multiple of the time to spend, least_repetitions are enough.
constexpr double kMaxOverrun = 3;
constexpr double kWarmUpShare = 0.15;

double medianRatio(const std::vector<double>& above, const std::vector<double>& below) {
  std::vector<double> ratios;
  for (size_t i = 0; i < above.size(); ++i) ratios.push_back(above[i] / std::max(below[i], 1e-12));
  return spreadOf(std::move(ratios)).median;
}

}  // namespace

Measurement measure(Subject& subject, const MeasureOptions& options) {
  Measurement result;
  result.problem = subject.verify();
  if (!result.problem.empty()) return result;

  Series series(subject, kWarmUpShare * options.seconds);
  std::optional<Series> yardstick;
  if (options.yardstick != nullptr) yardstick.emplace(Series::known(*options.yardstick, options.yardstick_seconds));
  const auto start = Clock::now();
  const auto isEnough = [&] {
    const double spent = std::chrono::duration<double>(Clock::now() - start).count();
    if (series.repetitions() >= options.max_repetitions) return true;
    if (series.repetitions() >= options.min_repetitions) return spent >= options.seconds;
    return series.repetitions() >= options.least_repetitions && spent >= kMaxOverrun * options.seconds;
  };
  while (!isEnough()) {
    series.addRound();
    if (yardstick) yardstick->addRound();
  }
  series.completeSingles();
  if (yardstick) yardstick->completeSingles();

  result.problem = subject.verifyAgain();
  if (!result.problem.empty()) return result;
  result.verified = true;
  result.repetitions = series.repetitions();
  result.submit_to_wait_us = series.submitToWaitUs();
  if (series.hasDeviceClock()) {
    result.clock_note = series.clockProblem();
    if (result.clock_note.empty() && yardstick) result.clock_note = yardstick->clockProblem();
    result.device_clock = result.clock_note.empty();
  }
  result.us = series.us(result.device_clock);
  result.cpu_us = series.cpuUs();
  if (yardstick) {
    result.yardstick_us = yardstick->us(result.device_clock);
    result.yardstick_repetitions = yardstick->repetitions();
    result.yardstick_ratio =
        medianRatio(series.roundSeconds(result.device_clock), yardstick->roundSeconds(result.device_clock));
    result.yardstick_cpu_us = yardstick->cpuUs();
  }
  return result;
}

std::optional<double> ceilingFraction(double rate, const Ceiling& ceiling) {
  if (!ceiling.value || !(*ceiling.value > 0)) return std::nullopt;
  return rate / *ceiling.value;
}

}  // namespace nib::bench
